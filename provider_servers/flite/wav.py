"""WAV that is sent while it is made: 16-bit mono samples behind a header."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_UNKNOWN = 0xFFFFFFFF
_PACKET_BYTES = 4096


def header(sample_rate: int, size_bytes: int | None = None) -> bytes:
    """Give the 44 bytes before the samples. `size_bytes` of samples; None says, as is usual, that it is unknown."""
    size, whole = (_UNKNOWN, _UNKNOWN) if size_bytes is None else (size_bytes, size_bytes + 36)
    layout = struct.pack("<IHHIIHH", 16, 1, 1, sample_rate, sample_rate * 2, 2, 16)
    return b"RIFF" + struct.pack("<I", whole) + b"WAVEfmt " + layout + b"data" + struct.pack("<I", size)


async def stream(samples: AsyncIterator[bytes], sample_rate: int, *, single: bool) -> AsyncIterator[bytes]:
    """Give a WAV file in pieces.

    Args:
        samples: 16-bit little-endian mono samples, in pieces of any size.
        sample_rate: in Hz.
        single: there is only one piece, so that its size can stand in the header.
    """
    begun, size = False, 0
    async for piece in samples:
        if not begun:
            yield header(sample_rate, len(piece) if single else None)
            begun = True
        size += len(piece)
        yield piece
    if begun and not single and size % _PACKET_BYTES:
        # FFmpeg reads sound of unknown size in packets of a power of two up to this, and with -xerror calls a last
        # packet that is cut short corrupt. At most an eighth of a second of silence at 16 kHz makes it whole.
        yield bytes(-size % _PACKET_BYTES)
