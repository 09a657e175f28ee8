"""What a model on Replicate is, found from its schema: a schema says "a file", and not which kind, nor what it is for.

Every rule stands in one of these tables, and the first that fits decides:

- `MEDIA`: which slot a file goes into, by the input's name, then by its description.
- `WORDS`: what the output file is, where neither the vendor's example nor an input for its format tells.
- `CAPABILITIES`: what the model does, by what it makes, what it takes, and what is said of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from automarket.assets.formats import by_name
from automarket.assets.roles import Role
from provider_servers.replicate.cog import gives_files, urls_of
from provider_servers.runtime.describe import Slot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from provider_servers.replicate.cog import CogInput, CogModel

MAX_FILE_BYTES = 100_000_000
"""What Replicate takes by its files; larger ones are refused."""


def _word(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


# Slot, role, name of the input.
MEDIA = (
    ("end_image", Role.IMAGE, _word(r"(end|last|tail|final)_?(image|img|frame)")),
    ("mask", Role.IMAGE, _word(r"mask")),
    ("face", Role.IMAGE, _word(r"face|swap_(image|img)|source_img")),
    ("video", Role.VIDEO, _word(r"video|clip|footage|movie")),
    ("voice", Role.SPEECH, _word(r"speaker|voice|(ref|reference|prompt)_(audio|wav)")),
    ("audio", Role.AUDIO, _word(r"audio|sound|song|music|speech|wav|vocal|melody")),
    ("image", Role.IMAGE, _word(r"image|img|picture|photo|frame|portrait|avatar|character|subject|pose")),
)
_DESCRIBED = (
    ("video", Role.VIDEO, _word(r"\bvideo\b")),
    ("audio", Role.AUDIO, _word(r"\b(audio|sound|music|speech|voice)\b")),
    ("image", Role.IMAGE, _word(r"\b(image|picture|photo|frame)\b")),
)
_NO_MEDIA = _word(r"\b(zip|tar|weights|lora|safetensors|checkpoint|json|csv|text file|subtitle)\b|_(zip|tar|weights)$")
WORDS = (
    (Role.VIDEO, _word(r"video|animat|lip.?sync|talking|\b[ti]2v\b|\bnum_frames\b|\bstart_image\b|\bfps\b")),
    (Role.AUDIO, _word(r"music|audio|speech|voice|\btts\b|\bsound|song|vocal")),
    (Role.IMAGE, _word(r"")),
)
_BETTER = _word(r"upscal|super.?res|enhanc|esrgan|restor")
_SPEAKS = _word(r"\btts\b|text.?to.?speech|speech|voice|speak|narrat|kokoro")
_SINGS = _word(r"music|song|lyric|melod|instrument")
_SOUNDS = _word(r"sound|foley|\bsfx\b|noise")
_ANY = _word(r"")
# What it makes, the slots that it needs, words that are said of it, what that is.
CAPABILITIES: tuple[tuple[Role, frozenset[str], re.Pattern[str], str], ...] = (
    (Role.VIDEO, frozenset(("video", "audio")), _ANY, "lip-sync"),
    (Role.VIDEO, frozenset(("video", "face")), _ANY, "face-swap"),
    (Role.VIDEO, frozenset(("video",)), _BETTER, "video-upscale"),
    (Role.VIDEO, frozenset(("video",)), _ANY, "video-to-video"),
    (Role.VIDEO, frozenset(("image", "audio")), _ANY, "avatar-generation"),
    (Role.VIDEO, frozenset(("image",)), _ANY, "image-to-video"),
    (Role.VIDEO, frozenset(), _ANY, "text-to-video"),
    (Role.IMAGE, frozenset(("video",)), _ANY, "video-to-image"),
    (Role.IMAGE, frozenset(("image",)), _BETTER, "image-upscale"),
    (Role.IMAGE, frozenset(("image",)), _ANY, "image-to-image"),
    (Role.IMAGE, frozenset(), _ANY, "text-to-image"),
    (Role.AUDIO, frozenset(("video",)), _ANY, "video-to-audio"),
    (Role.AUDIO, frozenset(("audio",)), _ANY, "audio-to-audio"),
    (Role.AUDIO, frozenset(), _SINGS, "text-to-music"),
    (Role.AUDIO, frozenset(), _SPEAKS, "text-to-speech"),
    (Role.AUDIO, frozenset(), _SOUNDS, "text-to-sound"),
    (Role.AUDIO, frozenset(), _ANY, "text-to-audio"),
    (Role.TEXT, frozenset(("image",)), _ANY, "image-to-text"),
    (Role.TEXT, frozenset(("audio",)), _ANY, "speech-to-text"),
    (Role.TEXT, frozenset(("video",)), _ANY, "video-to-text"),
    (Role.TEXT, frozenset(), _ANY, "text-to-text"),
)
# Sound is speech for these, and their slot has the name that the family gives it.
_SPEECH = {"lip-sync": "speech", "avatar-generation": "speech", "speech-to-text": "audio"}
_FIRST = ("image", "images", "video")  # what a family takes first, wherever the schema has it
_PICTURES = ("image/png", "image/jpeg", "image/webp")
_SOUND = ("audio/mpeg", "audio/wav", "audio/flac", "audio/ogg")
_TYPES = {Role.IMAGE: _PICTURES, Role.AUDIO: _SOUND, Role.SPEECH: _SOUND}


@dataclass(frozen=True, slots=True)
class MediaSlot:
    """A slot and the input that it fills."""

    slot: Slot
    input: CogInput


@dataclass(frozen=True, slots=True)
class Kind:
    """What a model is.

    Attributes:
        capability: what it does.
        makes: the role of its output.
        media_types: of its output, the likeliest first.
        slots: where media goes in.
    """

    capability: str
    makes: Role
    media_types: tuple[str, ...]
    slots: tuple[MediaSlot, ...]


def kind_of(model: CogModel, capability: str = "") -> Kind:
    """Find what a model is.

    Args:
        model: what its schema says.
        capability: where it is known already.
    """
    media = list(_named(model.inputs))
    makes, types = _output(model)
    said = f"{model.slug} {model.description}"
    shown = cast("dict[str, Any]", model.example.get("input") or {})
    needed = {name for name, _, one in media if one.required or shown.get(one.name)}
    found = capability or next(
        what for role, takes, words, what in CAPABILITIES if role is makes and takes <= needed and words.search(said)
    )
    slots = [_slot(name, role, one, found) for name, role, one in media]
    return Kind(found, makes, types, tuple(sorted(slots, key=lambda one: one.slot.name not in _FIRST)))


def _named(inputs: Iterable[CogInput]) -> Iterator[tuple[str, Role, CogInput]]:
    """Give slot, role and input of each file; of two that would have the same name the second keeps its own."""
    taken: set[str] = set()
    for one in inputs:
        known = _media(one) if one.files else None
        if known is not None:
            name, role = known
            name = f"{name}s" if one.files > 1 and name == "image" else name
            name = one.name if name in taken else name
            taken.add(name)
            yield name, role, one


def _media(one: CogInput) -> tuple[str, Role] | None:
    """Give slot and role of a file; None where it is no media that the mesh has a role for."""
    if _NO_MEDIA.search(one.name) or _NO_MEDIA.search(one.description):
        return None
    for table, text in ((MEDIA, one.name), (_DESCRIBED, one.description)):
        for name, role, pattern in table:
            if pattern.search(text):
                return name, role
    return None


def _slot(name: str, role: Role, one: CogInput, capability: str) -> MediaSlot:
    if name == "audio" and capability in _SPEECH:
        name, role = _SPEECH[capability], Role.SPEECH
    slot = Slot(
        name,
        role,
        optional=not (one.required or _needs(capability, name)),
        repeated=one.files > 1,
        media_types=_TYPES.get(role, ()),
        max_bytes=MAX_FILE_BYTES,
        max_count=one.rule.get("maxItems") if one.files > 1 else None,
        description=" ".join(one.description.split()),
    )
    return MediaSlot(slot, one)


def _needs(capability: str, slot: str) -> bool:
    """Tell whether a model that is known to make something of a medium needs it, be it optional in its schema."""
    return capability.startswith(f"{slot}-to-")


def _output(model: CogModel) -> tuple[Role, tuple[str, ...]]:
    """Give the role of the output and its media types."""
    if not gives_files(model.output):
        return Role.TEXT, ("text/plain",)
    formats = next((one.rule.get("enum") for one in model.inputs if _is_format(one)), None) or ()
    suffixes = [*_suffixes(model.example.get("output")), *map(str, formats)]
    known = [found for suffix in suffixes if (found := by_name(suffix)) is not None]
    for role in (Role.VIDEO, Role.AUDIO, Role.IMAGE):
        types = tuple(dict.fromkeys(one.media_type for one in known if role in one.roles))
        if types:
            return role, types
    said = " ".join([model.slug, model.description, *(one.name for one in model.inputs)])
    makes = next(role for role, words in WORDS if words.search(said))
    return makes, _USUAL[makes]


_USUAL = {Role.VIDEO: ("video/mp4",), Role.AUDIO: ("audio/wav", "audio/mpeg"), Role.IMAGE: _PICTURES}


def _is_format(one: CogInput) -> bool:
    return one.name in ("output_format", "format", "audio_format", "file_format")


def _suffixes(output: Any) -> list[str]:
    """Give what the names of the files of an example end in."""
    paths = [urlsplit(url).path for url in urls_of(output)]
    return [path.rpartition(".")[2].lower() for path in paths if "." in path.rpartition("/")[2]]
