"""Running FFmpeg for a model: with progress, within limits, from files to files."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from automarket.media.limits import DEFAULT_LIMITS
from automarket.media.process import stream_ffmpeg
from provider_servers.runtime import Progress

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

LIMITS = replace(DEFAULT_LIMITS, wall_seconds=6 * 3600.0)
"""Encoding a film takes longer than a cast; the caller's deadline usually ends a call before."""

_TIME = "out_time_us="


async def run_with_progress(
    arguments: Sequence[str], total_seconds: float | None, *, strict: bool = True
) -> AsyncGenerator[Progress]:
    """Run FFmpeg and say how far it is, each percent at most once.

    Args:
        arguments: FFmpeg's; no output goes to a pipe.
        total_seconds: play time of the result; None when unknown, and then there are no fractions.
        strict: a fault in the media is an error, not something to be skipped.

    Raises:
        MediaInvalid, MediaRefused, MediaLimit, DiskFull, EngineMissing: it failed.
    """
    told = -1
    command = ["-progress", "pipe:1", *arguments]
    async with aclosing(stream_ffmpeg(command, limits=LIMITS, strict=strict)) as report:
        async for piece in report:
            fraction = _fraction(piece.decode("ascii", "replace"), total_seconds)
            if fraction is not None and int(fraction * 100) > told:
                told = int(fraction * 100)
                yield Progress("running", fraction, f"{told} % done")


def _fraction(report: str, total_seconds: float | None) -> float | None:
    """Give how far FFmpeg is by the last time that its report names; a report may be cut anywhere."""
    times = [line.removeprefix(_TIME) for line in report.split("\n")[:-1] if line.startswith(_TIME)]
    if not total_seconds or not times or not times[-1].isdigit():  # "N/A" until the first picture is out
        return None
    return min(int(times[-1]) / 1e6 / total_seconds, 1.0)
