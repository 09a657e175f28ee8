"""What media says of its own length in its first bytes, to tell whether it was cut off. FFmpeg reads on regardless."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from automarket.assets.signatures import mp3_frame

if TYPE_CHECKING:
    from automarket.assets.formats import Format

_OPEN_ENDED = 0x7FFF0000
_SLACK_BYTES = 64  # some writers count their own headers wrongly
_SAMPLES = {3: 1152, 2: 576, 0: 576}


def riff_bytes(head: bytes) -> int | None:
    """Give the size that a WAV or AVI file says that it has; None for one that was written as a stream."""
    if len(head) < 12 or head[:4] != b"RIFF":
        return None
    (size,) = struct.unpack_from("<I", head, 4)
    return size + 8 if 0 < size < _OPEN_ENDED else None


def is_cut(head: bytes, size_bytes: int) -> bool:
    """Tell whether a WAV or AVI file of this many bytes lacks some."""
    said = riff_bytes(head)
    return said is not None and size_bytes + _SLACK_BYTES < said


def ends_cleanly(found: Format) -> bool:
    """Tell whether every fault that FFmpeg reports is one.

    It also reports the end of WAV that was written as a stream, and tags behind MP3. Their lengths are checked by what
    they say of themselves instead.
    """
    return found.name not in ("wav", "mp3")


def mp3_seconds(head: bytes) -> float | None:
    """Give the play time that an MP3's first frame names (Xing or Info tag); None when it names none."""
    frame = mp3_frame(head)
    if frame is None:
        return None
    body, version, sample_rate = frame
    place = max(body[:64].find(b"Xing"), body[:64].find(b"Info"))
    if place < 0 or place + 12 > len(body):
        return None
    flags, frames = struct.unpack_from(">II", body, place + 4)
    return frames * _SAMPLES[version] / sample_rate if flags & 1 else None
