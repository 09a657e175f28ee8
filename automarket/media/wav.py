"""WAV headers, for sound that is written while it is made."""

from __future__ import annotations

import struct

_UNKNOWN = 0xFFFFFFFF
HEADER_BYTES = 44


def wav_header(sample_rate: int, channels: int, data_bytes: int | None = None) -> bytes:
    """Give the header of 16-bit WAV.

    Args:
        sample_rate: in Hz.
        channels: how many.
        data_bytes: size of the samples; None when it is not known yet: readers then read to the end.
    """
    fits = data_bytes is not None and data_bytes <= _UNKNOWN - 36
    data, riff = (data_bytes, data_bytes + 36) if fits and data_bytes is not None else (_UNKNOWN, _UNKNOWN)
    frame = channels * 2
    form = struct.pack("<HHIIHH", 1, channels, sample_rate, sample_rate * frame, frame, 16)
    return (
        b"RIFF"
        + struct.pack("<I", riff)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + struct.pack("<I", data)
    )
