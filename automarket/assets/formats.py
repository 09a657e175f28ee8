"""Every format that is known, in one registry that others may add to. Formats are told by content, never by name.

format = detect(head)  # the first 64 KiB, or all of it
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from automarket.assets import signatures, writing
from automarket.assets.roles import Role
from automarket.errors import InputEmpty, InputUnsuitable, MediaRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from automarket.media.info import MediaInfo

HEAD_BYTES = writing.HEAD_BYTES
SOUND = frozenset({Role.AUDIO, Role.SPEECH})
MOVING = frozenset({Role.VIDEO, Role.AUDIO, Role.SPEECH})
STILL = frozenset({Role.IMAGE})
WRITTEN = frozenset({Role.TEXT})


@dataclass(frozen=True, slots=True)
class Format:
    """A container or text format.

    Attributes:
        name: its usual short name, e.g. "mp4".
        media_type: e.g. "video/mp4".
        roles: what media in it can play at most; a video may turn out to have no sound, or no picture.
        extensions: usual endings of file names, without the dot, the best one first.
        matches: tells it by the first bytes.
        demuxer: FFmpeg's reader of it; empty for text.
        refused: why it is never opened; empty for what is.
    """

    name: str
    media_type: str
    roles: frozenset[Role]
    extensions: tuple[str, ...]
    matches: Callable[[bytes], bool]
    demuxer: str = ""
    refused: str = ""

    @property
    def role(self) -> Role | None:
        """What it is first of all: a video is a video before it is sound; None for what is refused."""
        order = (Role.VIDEO, Role.IMAGE, Role.AUDIO, Role.TEXT)
        return next((role for role in order if role in self.roles), None)


_LIST = "it is a list of other files, which are never followed"
_BINARY = (
    Format("png", "image/png", STILL, ("png",), signatures.starts(b"\x89PNG\r\n\x1a\n"), "png_pipe"),
    Format("jpeg", "image/jpeg", STILL, ("jpg", "jpeg"), signatures.starts(b"\xff\xd8\xff"), "jpeg_pipe"),
    Format("webp", "image/webp", STILL, ("webp",), signatures.riff(b"WEBP"), "webp_pipe"),
    Format("gif", "image/gif", STILL, ("gif",), signatures.starts(b"GIF87a", b"GIF89a"), "gif"),
    Format("wav", "audio/wav", SOUND, ("wav",), signatures.riff(b"WAVE"), "wav"),
    Format("avi", "video/x-msvideo", MOVING, ("avi",), signatures.riff(b"AVI "), "avi"),
    Format("flac", "audio/flac", SOUND, ("flac",), signatures.flac, "flac"),
    Format("ogv", "video/ogg", MOVING, ("ogv",), signatures.ogg(b"\x80theora"), "ogg"),
    Format("opus", "audio/opus", SOUND, ("opus",), signatures.ogg(b"OpusHead"), "ogg"),
    Format("ogg", "audio/ogg", SOUND, ("ogg", "oga"), signatures.ogg(), "ogg"),
    Format("weba", "audio/webm", SOUND, ("weba",), signatures.matroska(b"webm", sound_only=True), "matroska"),
    Format("webm", "video/webm", MOVING, ("webm",), signatures.matroska(b"webm"), "matroska"),
    Format("mka", "audio/x-matroska", SOUND, ("mka",), signatures.matroska(b"matroska", sound_only=True), "matroska"),
    Format("mkv", "video/x-matroska", MOVING, ("mkv",), signatures.matroska(b"matroska"), "matroska"),
    Format("m4a", "audio/mp4", SOUND, ("m4a",), signatures.sound_movie, "mov"),
    Format("mov", "video/quicktime", MOVING, ("mov", "qt"), signatures.quicktime, "mov"),
    Format("mp4", "video/mp4", MOVING, ("mp4", "m4v"), signatures.movie, "mov"),
    Format("aac", "audio/aac", SOUND, ("aac",), signatures.aac, "aac"),
    Format("mp3", "audio/mpeg", SOUND, ("mp3",), signatures.mp3, "mp3"),
)
_NEVER_OPENED = (
    Format("concat", "text/x-ffconcat", frozenset(), ("ffconcat",), writing.concat_list, refused=_LIST),
    Format("m3u8", "application/vnd.apple.mpegurl", frozenset(), ("m3u8",), writing.playlist, refused=_LIST),
)
_WRITING = (
    Format("vtt", "text/vtt", WRITTEN, ("vtt",), writing.vtt),
    Format("srt", "application/x-subrip", WRITTEN, ("srt",), writing.srt),
    Format("json", "application/json", WRITTEN, ("json",), writing.json_text),
    Format("md", "text/markdown", WRITTEN, ("md", "markdown"), writing.markdown),
    Format("txt", "text/plain", WRITTEN, ("txt", "text"), writing.plain),
)
_registry: list[Format] = [*_BINARY, *_NEVER_OPENED, *_WRITING]


def register(new: Format) -> None:
    """Add a format; it is tried before those that are there, and replaces one of the same name."""
    _registry[:] = [new, *(one for one in _registry if one.name != new.name)]


def all_formats() -> tuple[Format, ...]:
    """Give every format, in the order in which they are tried."""
    return tuple(_registry)


def detect(head: bytes) -> Format | None:
    """Give the format of media by its first bytes: 64 KiB, or all when it is shorter; None when none is known."""
    return next((one for one in _registry if one.matches(head)), None) if head else None


def by_name(name: str) -> Format | None:
    """Give a format by its short name or a usual file ending: "jpeg" or "jpg"."""
    wanted = name.lower().lstrip(".")
    named = next((one for one in _registry if one.name == wanted), None)
    return named or next((one for one in _registry if wanted in one.extensions), None)


def by_media_type(media_type: str) -> Format | None:
    """Give a format by its media type; parameters after a semicolon do not count."""
    wanted = media_type.partition(";")[0].strip().lower()
    return next((one for one in _registry if one.media_type == wanted), None)


def recognise(head: bytes, *, what: str = "the input") -> Format:
    """Give the format of media that is to be used.

    Raises:
        InputEmpty: there are no bytes.
        MediaRefused: it is of a kind that is never opened.
        InputUnsuitable: it is of no kind that is known.
    """
    if not head:
        raise InputEmpty(f"{what} is empty", hint="check how it was made")
    found = detect(head)
    if found is None:
        hint = "text has to be UTF-8" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else _known()
        raise InputUnsuitable(f"{what} is of no known format", hint=hint)
    if found.refused:
        raise refusal(found, what=what)
    return found


def refusal(found: Format, *, what: str = "the input") -> MediaRefused:
    """Give the error that says why media of this format is never opened."""
    return MediaRefused(f"{what} is not media ({found.name}): {found.refused}", hint="send the media itself")


def recognise_file(path: Path) -> Format:
    """Give the format of a file that is to be used; reads its first 64 KiB. Raises as `recognise` does."""
    with path.open("rb") as file:
        return recognise(file.read(HEAD_BYTES), what=path.name)


def roles_of(found: Format, info: MediaInfo | None) -> frozenset[Role]:
    """Give what media in a format can play, by its tracks where they are known."""
    if info is None or not found.roles & MOVING:
        return found.roles
    tracks = SOUND if info.audio else frozenset[Role]()
    return found.roles & (tracks | {Role.VIDEO} if info.video else tracks)


def media_type_of(found: Format, info: MediaInfo | None) -> str:
    """Give the media type of media in a format: "audio/mp4" for an MP4 that turns out to hold sound only."""
    sound_only = info is not None and info.audio is not None and info.video is None
    if sound_only and found.media_type.startswith("video/") and found.name in ("mp4", "webm", "mkv", "ogv"):
        return found.media_type.replace("video/", "audio/", 1)
    return found.media_type


def _known() -> str:
    return "known are " + ", ".join(_names(_registry))


def _names(formats: Iterable[Format]) -> list[str]:
    return sorted(one.name for one in formats if not one.refused)
