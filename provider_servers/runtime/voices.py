"""Voices that are made from samples of speech."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from automarket.voices import Voice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provider_servers.runtime.media_input import MediaInput


@dataclass(frozen=True, slots=True)
class NewVoice:
    """A voice that is to be made.

    Attributes:
        request_id: the caller's UUID: an equal one asks for the voice that is there.
        name: name for people, 1 to 100 characters.
        samples: of the role and form that the provider's `voice_samples` asks for; 1 to 25.
        description: what it is like, at most 500 characters.
        labels: words about it, at most 16.
        remove_background_noise: take noise out of the samples first.
    """

    request_id: str
    name: str
    samples: tuple[MediaInput, ...]
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    remove_background_noise: bool = False


__all__ = ["NewVoice", "Voice"]
