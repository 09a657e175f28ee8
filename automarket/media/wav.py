"""WAV: headers for sound that is written while it is made, and bare samples out of WAV that arrives piece by piece.

FFmpeg's own WAV reader holds a live stream back for seconds, and takes the end of one of unknown length for a fault.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from automarket.errors import MediaInvalid

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

_UNKNOWN = 0xFFFFFFFF
_OPEN_ENDED = 0x7FFF0000  # sizes from here on are what writers put that do not know better
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_SAMPLES = {
    (_PCM, 8): "u8",
    (_PCM, 16): "s16le",
    (_PCM, 24): "s24le",
    (_PCM, 32): "s32le",
    (_FLOAT, 32): "f32le",
    (_FLOAT, 64): "f64le",
}


def wav_header(sample_rate: int, channels: int, data_bytes: int | None = None) -> bytes:
    """Give the header of 16-bit WAV, 44 bytes.

    Args:
        sample_rate: in Hz.
        channels: how many.
        data_bytes: size of the samples; None when it is not known yet: readers then read to the end.
    """
    fits = data_bytes is not None and data_bytes <= _UNKNOWN - 36
    data, riff = (data_bytes, data_bytes + 36) if fits and data_bytes is not None else (_UNKNOWN, _UNKNOWN)
    frame = channels * 2
    form = struct.pack("<IHHIIHH", 16, 1, channels, sample_rate, sample_rate * frame, frame, 16)
    return b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + form + b"data" + struct.pack("<I", data)


@dataclass(frozen=True, slots=True)
class WavLayout:
    """Where plain samples are in a WAV and what they look like.

    Attributes:
        demuxer: FFmpeg's reader of such samples, e.g. "s16le".
        sample_rate: in Hz.
        channels: how many.
        frame_bytes: bytes of one sample of every channel.
        offset: where they begin.
        data_bytes: how many bytes they have; None for WAV that was written as a stream.
    """

    demuxer: str
    sample_rate: int
    channels: int
    frame_bytes: int
    offset: int
    data_bytes: int | None


def wav_layout(head: bytes) -> WavLayout | None:
    """Read the header of a WAV; None when its samples are not plain, or do not begin within the head."""
    place, form = 12, b""
    while head[:4] == b"RIFF" and place + 8 <= len(head):
        kind, (size,) = head[place : place + 4], struct.unpack_from("<I", head, place + 4)
        if kind == b"data":
            return _layout(form, place + 8, size)
        if kind == b"fmt ":
            form = head[place + 8 : place + 8 + size]
        place += 8 + size + size % 2
    return None


def _layout(form: bytes, offset: int, size: int) -> WavLayout | None:
    if len(form) < 16:
        return None
    tag, channels, rate, _, frame, bits = struct.unpack_from("<HHIIHH", form)
    if tag == _EXTENSIBLE and len(form) >= 26:
        (tag,) = struct.unpack_from("<H", form, 24)
    demuxer = _SAMPLES.get((tag, bits))
    if demuxer is None or not channels or not rate or frame != channels * bits // 8:
        return None
    return WavLayout(demuxer, rate, channels, frame, offset, size if size < _OPEN_ENDED else None)


async def samples_of(chunks: AsyncIterator[bytes], layout: WavLayout) -> AsyncGenerator[bytes]:
    """Give the samples of a WAV, in whole frames; what follows them is taken and left out.

    Raises:
        MediaInvalid: there are fewer than the header says.
    """
    skip, left, rest = layout.offset, layout.data_bytes, b""
    async for chunk in chunks:
        data = chunk[skip:] if skip else chunk
        skip -= min(skip, len(chunk))
        if left is not None:
            data = data[:left]
            left -= len(data)
        data = rest + data
        whole = len(data) - len(data) % layout.frame_bytes
        rest = data[whole:]
        if whole:
            yield data[:whole]
    if left is not None and left >= layout.frame_bytes:
        raise MediaInvalid(f"the sound is cut off: {left:,} bytes of it are missing", hint="send it again")
