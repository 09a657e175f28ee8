"""What media may cost. Media is hostile: nothing about it is trusted, and everything has a bound."""

from __future__ import annotations

from dataclasses import dataclass

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """Bounds of one piece of work on media.

    Attributes:
        max_seconds: longest play time.
        max_pixels: most pixels of a picture.
        max_output_bytes: largest result.
        memory_bytes: address space of the FFmpeg process.
        wall_seconds: how long FFmpeg may take; work that follows a live stream may take `max_seconds` longer.
        threads: how many threads FFmpeg uses for one codec.
    """

    max_seconds: float = 6 * 3600.0
    max_pixels: int = 100_000_000
    max_output_bytes: int = 8 * GIB
    memory_bytes: int = 6 * GIB
    wall_seconds: float = 1800.0
    threads: int = 2


DEFAULT_LIMITS = MediaLimits()
