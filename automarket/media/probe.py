"""What media is, read by ffprobe; by FFmpeg itself where there is no ffprobe."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automarket.assets.formats import HEAD_BYTES, MOVING, Format, recognise
from automarket.assets.roles import Role
from automarket.errors import MediaInvalid, MediaLimit
from automarket.media.engine import find_ffprobe
from automarket.media.info import AudioInfo, MediaInfo, VideoInfo
from automarket.media.lengths import is_cut, mp3_seconds
from automarket.media.limits import DEFAULT_LIMITS, MediaLimits
from automarket.media.pictures import claimed_size
from automarket.media.process import capture

if TYPE_CHECKING:
    from pathlib import Path

_SIDEWAYS = (90, 270)


@dataclass(frozen=True, slots=True)
class Examined:
    """Media looked at closely.

    Attributes:
        format: its format.
        info: its facts.
        audio_seconds: how long its sound track plays; None when it does not say, or when that is a guess.
    """

    format: Format
    info: MediaInfo
    audio_seconds: float | None = None


async def probe(path: Path, *, limits: MediaLimits = DEFAULT_LIMITS) -> MediaInfo:
    """Read the technical facts of a file; text has none but its format.

    Raises:
        InputEmpty: there are no bytes.
        InputUnsuitable: it is of no known format.
        MediaInvalid: it is broken.
        MediaRefused: it is a list of other files.
        MediaLimit: it has too many pixels.
        EngineMissing: FFmpeg is not installed.
    """
    return (await examine(path, limits=limits)).info


async def examine(path: Path, *, limits: MediaLimits = DEFAULT_LIMITS) -> Examined:
    """Read the facts of a file, and what casting needs beside them. Raises as `probe` does."""
    head = await asyncio.to_thread(_read_head, path)
    found = recognise(head)
    if not found.demuxer:
        return Examined(found, MediaInfo(found.name))
    check_pixels(claimed_size(head, found.name), limits)
    if is_cut(head, path.stat().st_size):
        raise MediaInvalid("the media is cut off: it says that it has more bytes", hint="send it again")
    facts = await _facts(path, found, limits)
    streams = [stream for stream in facts.get("streams", ()) if not _is_cover(stream)]
    sound = next((one for one in streams if one.get("codec_type") == "audio"), None)
    picture = next((one for one in streams if one.get("codec_type") == "video"), None)
    if not sound and not picture:
        raise MediaInvalid("the media has neither sound nor pictures", hint="check how it was made")
    still = found.roles.isdisjoint(MOVING)
    video = None if picture is None or (Role.VIDEO not in found.roles and not still) else _video(picture, still=still)
    if video is not None:
        check_pixels((video.width, video.height), limits)
    seconds = None if still else _seconds(facts.get("format", {}).get("duration"))
    info = MediaInfo(found.name, seconds, None if sound is None else _audio(sound), video)
    return Examined(found, info, _sound_seconds(sound, found, head))


def check_pixels(size: tuple[int, int] | None, limits: MediaLimits) -> None:
    """Check the size of a picture. Raises MediaLimit."""
    if size is not None and size[0] * size[1] > limits.max_pixels:
        width, height = size
        message = f"the picture is {width:,} x {height:,} pixels; at most {limits.max_pixels:,} pixels are opened"
        raise MediaLimit(message, hint="scale it down first")


async def _facts(path: Path, found: Format, limits: MediaLimits) -> dict[str, Any]:
    from automarket.media.graph import input_name, input_options

    ffprobe = find_ffprobe()
    if ffprobe is None:
        from automarket.media.banner import read_banner

        return await read_banner(path, found, limits)
    options = input_options(found, piped=False, limits=limits)
    opening = [part for name, value in options.items() for part in (f"-{name}", str(value))]
    shown = ("-hide_banner", "-v", "error", "-of", "json", "-show_format", "-show_streams")
    output = await capture(ffprobe, [*shown, *opening, "-i", input_name(path)], limits=limits)
    return json.loads(output)


def _read_head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _is_cover(stream: dict[str, Any]) -> bool:
    return bool(stream.get("disposition", {}).get("attached_pic"))


def _audio(stream: dict[str, Any]) -> AudioInfo:
    codec = stream.get("codec_name", "unknown")
    return AudioInfo(codec, int(stream.get("sample_rate") or 0), int(stream.get("channels") or 0))


def _video(stream: dict[str, Any], *, still: bool) -> VideoInfo:
    width, height = int(stream.get("width") or 0), int(stream.get("height") or 0)
    turns = (one.get("rotation") for one in stream.get("side_data_list", ()))
    if any(turn is not None and abs(int(turn)) % 360 in _SIDEWAYS for turn in turns):
        width, height = height, width
    if not width or not height:
        raise MediaInvalid("the pictures have no size", hint="check how they were made")
    codec = stream.get("codec_name", "unknown")
    return VideoInfo(codec, width, height, 0.0 if still else _frame_rate(stream))


def _frame_rate(stream: dict[str, Any]) -> float:
    for name in ("avg_frame_rate", "r_frame_rate"):
        count, _, seconds = str(stream.get(name, "")).partition("/")
        if count.isdigit() and seconds.isdigit() and int(count) and int(seconds):
            return int(count) / int(seconds)
    return 0.0


def _sound_seconds(stream: dict[str, Any] | None, found: Format, head: bytes) -> float | None:
    if stream is None or found.name == "aac":  # it says no length: FFmpeg guesses it by the bit rate
        return None
    if found.name == "mp3":  # likewise, but for those that name it in a tag
        return mp3_seconds(head)
    length = _seconds(stream.get("duration"))
    return length if length is not None else _clock(str(stream.get("tags", {}).get("DURATION", "")))


def _seconds(value: Any) -> float | None:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _clock(text: str) -> float | None:
    """Read "00:01:02.500000000"."""
    parts = text.split(":")
    values = [_seconds(part) for part in parts]
    if len(parts) != 3 or None in values:
        return None
    hours, minutes, seconds = (value or 0.0 for value in values)
    return hours * 3600 + minutes * 60 + seconds
