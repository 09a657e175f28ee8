"""Inputs and output of a language model, as its description lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automarket.assets.roles import Role
from automarket.chat.messages import CONVERSATION_TYPE
from provider_servers.runtime.describe import Output, Slot

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CHARACTERS = 20_000_000


def chat_inputs(
    *,
    images: Sequence[str] = (),
    audio: Sequence[str] = (),
    files: Sequence[str] = (),
    max_characters: int = MAX_CHARACTERS,
    max_image_bytes: int | None = None,
    max_audio_bytes: int | None = None,
    max_file_bytes: int | None = None,
) -> tuple[Slot, ...]:
    """Give the inputs of a language model: a text or a conversation, and the media that it takes.

    Args:
        images: media types of pictures that it takes as they are; others are cast to the first one. None at all means
            that a conversation with pictures is refused.
        audio: likewise, of sound.
        files: media types of files that it reads; others are refused.
        max_characters: of a plain text.
        max_image_bytes: of one picture; None is no bound.
        max_audio_bytes: of one piece of sound.
        max_file_bytes: of one file.
    """
    told = "What the model is asked: a text, or a conversation."
    types = ("text/plain", CONVERSATION_TYPE)
    slots = [Slot("text", Role.TEXT, media_types=types, max_characters=max_characters, description=told)]
    further = (
        ("images", Role.IMAGE, images, max_image_bytes, "Pictures for the model to look at."),
        ("audio", Role.AUDIO, audio, max_audio_bytes, "Sound for the model to listen to."),
        ("files", Role.TEXT, files, max_file_bytes, "Files for the model to read."),
    )
    slots += [
        Slot(
            name,
            role,
            optional=True,
            repeated=True,
            media_types=tuple(media_types),
            max_bytes=max_bytes,
            description=description,
        )
        for name, role, media_types, max_bytes, description in further
        if media_types
    ]
    return tuple(slots)


def text_output() -> tuple[Output, ...]:
    """Give the output of a language model: text, while it is made."""
    return (Output("text", Role.TEXT, ("text/plain",)),)
