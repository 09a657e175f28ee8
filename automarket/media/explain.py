"""From what FFmpeg wrote to an error that a person can act on."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError, DiskFull, EngineMissing, MediaInvalid, MediaLimit, MediaRefused
from automarket.media.engine import HINT

if TYPE_CHECKING:
    from collections.abc import Sequence

_LINES = 20
_PREFIX = re.compile(r"^(\[[^\]]*\] )+")
_CODE_LIMITS = {
    -signal.SIGXCPU: "it took too much time",
    -signal.SIGXFSZ: "the result would be too large",
    -signal.SIGKILL: "FFmpeg was killed, as happens when memory is short",
}
_WHOLE = "check how it was made, and that all of it arrived"
_WORDS: tuple[tuple[str, type[AutoMarketError], str, str], ...] = (
    (
        r"Picture size .* (is invalid|exceeds)|Invalid image size",
        MediaLimit,
        "the picture has too many pixels",
        "scale it down first",
    ),
    (r"not (on|in) whitelist", MediaRefused, "it is of a kind that is never opened", "send the media itself"),
    (r"No space left on device", DiskFull, "the disk has no room", "make room and try again"),
    (r"Cannot allocate memory", MediaLimit, "it needs too much memory", "send it in a smaller form"),
    (r"Unknown encoder|Unknown decoder|Decoder .* not found", EngineMissing, "this FFmpeg lacks a codec", HINT),
    (r"moov atom not found", MediaInvalid, "its index is missing, so it was cut off", _WHOLE),
    (
        r"corrupt input packet|partial file|ended prematurely|Invalid data",
        MediaInvalid,
        "it is broken or cut off",
        _WHOLE,
    ),
)


def tidy(text: str, arguments: Sequence[str]) -> list[str]:
    """Give the lines that FFmpeg wrote, last ones only, without the names of files on this machine."""
    for argument in arguments:
        if argument.startswith("file:"):
            text = text.replace(argument, "input").replace(argument.removeprefix("file:"), "input")
    return [_PREFIX.sub("", line).strip() for line in text.splitlines() if line.strip()][-_LINES:]


def explain(code: int, lines: Sequence[str]) -> AutoMarketError:
    """Give the error that an end of FFmpeg with a code other than 0 means."""
    tail = tuple(lines)
    if code in _CODE_LIMITS:
        return MediaLimit(f"the media is refused: {_CODE_LIMITS[code]}", log_lines=tail)
    for pattern, kind, meaning, hint in _WORDS:
        if any(re.search(pattern, line) for line in lines):
            return kind(f"FFmpeg cannot work on the media: {meaning}", hint=hint, log_lines=tail)
    said = lines[-1] if lines else f"FFmpeg ended with code {code}"
    return MediaInvalid(f"the media is broken or cut off: {said}"[:400], log_lines=tail, hint=_WHOLE)
