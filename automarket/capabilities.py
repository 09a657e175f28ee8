"""Capabilities by name: the tree of what models can do, and the other names that the field uses.

Numbers are those of `automarket.v1.Capability`; names are kebab-case. Third parties use names that are not listed here;
they have no number, no aliases and no parents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Capability:
    """One capability.

    Attributes:
        number: the enum value of the contract.
        name: kebab-case name.
        inputs: names of the roles that it takes, in order.
        output: name of the role that it makes, empty where none fits.
        parent: the capability that this one is a kind of.
        aliases: other names that mean the same.
    """

    number: int
    name: str
    inputs: tuple[str, ...]
    output: str
    parent: str = ""
    aliases: tuple[str, ...] = ()


ALL: Final = (
    Capability(1, "text-to-text", ("text",), "text", aliases=("text-generation", "chat", "llm", "completion")),
    Capability(
        2,
        "speech-to-text",
        ("speech",),
        "text",
        "audio-to-text",
        ("transcription", "stt", "asr", "automatic-speech-recognition", "speech-recognition"),
    ),
    Capability(3, "audio-to-text", ("audio",), "text", aliases=("audio-captioning",)),
    Capability(4, "text-to-speech", ("text",), "speech", "text-to-audio", ("tts", "speech-synthesis")),
    Capability(5, "text-to-audio", ("text",), "audio", aliases=("audio-generation",)),
    Capability(6, "voice-cloning", ("text", "speech"), "speech", "text-to-audio", ("voice-clone",)),
    Capability(7, "text-to-music", ("text",), "audio", "text-to-audio", ("music-generation",)),
    Capability(8, "text-to-sound", ("text",), "audio", "text-to-audio", ("sound-effects", "sound-generation")),
    Capability(9, "text-to-image", ("text",), "image", aliases=("image-generation",)),
    Capability(10, "image-to-image", ("image",), "image", aliases=("image-editing",)),
    Capability(11, "image-to-text", ("image",), "text", aliases=("image-captioning", "vision")),
    Capability(12, "image-upscale", ("image",), "image", "image-to-image", ("image-upscaling", "super-resolution")),
    Capability(13, "text-to-video", ("text",), "video", aliases=("video-generation",)),
    Capability(14, "image-to-video", ("image",), "video", aliases=("video-animation", "image-animation")),
    Capability(15, "video-to-video", ("video",), "video", aliases=("video-editing",)),
    Capability(16, "video-upscale", ("video",), "video", "video-to-video", ("video-upscaling", "video-enhance")),
    Capability(17, "face-swap", ("video", "image"), "video", "video-to-video", ("faceswap",)),
    Capability(18, "lip-sync", ("video", "speech"), "video", "video-to-video", ("lipsync",)),
    # Text or speech: which of them is the model's own affair.
    Capability(19, "avatar-generation", (), "video", aliases=("avatar", "talking-head")),
    Capability(20, "video-to-audio", ("video",), "audio", aliases=("audio-extraction",)),
    Capability(21, "video-to-image", ("video",), "image", aliases=("frame-extraction", "thumbnails")),
    Capability(
        22, "video-composition", ("video", "video"), "video", "video-to-video", ("video-overlay", "compositing")
    ),
    Capability(23, "audio-to-audio", ("audio",), "audio", aliases=("audio-conversion",)),
    Capability(24, "text-embedding", ("text",), "", aliases=("embedding", "embeddings", "feature-extraction")),
    Capability(25, "text-to-3d", ("text",), "", aliases=("3d-generation",)),
    Capability(26, "image-to-3d", ("image",), ""),
)

_BY_NUMBER = {capability.number: capability for capability in ALL}
_BY_NAME = {name: capability for capability in ALL for name in (capability.name, *capability.aliases)}


def normalise(name: str) -> str:
    """Give a name in kebab-case: "CAPABILITY_SPEECH_TO_TEXT" and "Speech to text" become "speech-to-text"."""
    return name.strip().lower().replace("_", "-").replace(" ", "-").removeprefix("capability-")


def find(name: str) -> Capability | None:
    """Give the capability of that name or alias, or None when the contract has none."""
    return _BY_NAME.get(normalise(name))


def by_number(number: int) -> Capability | None:
    """Give the capability with that enum value, or None."""
    return _BY_NUMBER.get(number)


def canonical_name(name: str) -> str:
    """Give the name that an alias stands for; a third party's name is its own."""
    known = find(name)
    return known.name if known else normalise(name)


def lineage(name: str) -> tuple[str, ...]:
    """Give the name itself and what it is a kind of, nearest first."""
    names: list[str] = []
    while name:
        names.append(name)
        known = _BY_NAME.get(name)
        name = known.parent if known else ""
    return tuple(names)


def is_a(name: str, ancestor: str) -> bool:
    """Tell whether a capability is another one or a kind of it."""
    return canonical_name(ancestor) in lineage(canonical_name(name))
