"""Laying pictures and videos over a video. The base's sound is kept; overlays give none.

Base and overlays in, MP4 out (H.264, AAC), as long as the base. FFmpeg does all of it in one run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automarket.errors import InputUnsuitable, InternalFault, MediaInvalid
from automarket.media.graph import arguments_of, write_media
from automarket.media.probe import probe
from provider_servers.ffmpeg.layout import place_all
from provider_servers.ffmpeg.shown import look_at, squared
from provider_servers.ffmpeg.work import LIMITS, run_with_progress
from provider_servers.runtime import Composition, PlacedOverlay, Resolution

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path

    from automarket.media.info import MediaInfo
    from provider_servers.ffmpeg.layout import Placement
    from provider_servers.ffmpeg.shown import Visible
    from provider_servers.runtime import Progress

_ENCODING = {"f": "mp4", "movflags": "+faststart", "vcodec": "libx264", "preset": "veryfast", "crf": 20}


@dataclass(frozen=True, slots=True)
class Plan:
    """A composition that is ready to run; `seconds` is how long the base plays."""

    base: Visible
    seconds: float
    overlays: tuple[Visible, ...]
    placements: tuple[Placement, ...]


async def plan_composition(base: Path, overlays: Sequence[Path], wishes: Sequence[Mapping[str, Any]]) -> Plan:
    """Look at all the files and give every overlay its place.

    Args:
        base: the base video.
        overlays: pictures and videos. No two have the same path: FFmpeg-python takes equal inputs for one.
        wishes: the option `overlays`.

    Raises:
        InputUnsuitable: the base has no play time, or a file no picture.
        OptionInvalid: an overlay would never be seen.
    """
    seen = await look_at(base, what="the base video", even=True)
    seconds = seen.info.duration
    if seen.shown.still or not seconds:
        raise InputUnsuitable("the base video has no play time", hint="give a video; a picture can be an overlay")
    laid = [await look_at(path, what=f"overlay {index}") for index, path in enumerate(overlays)]
    placements = place_all(wishes, seen.shown.size, [one.shown for one in laid], seconds)
    return Plan(seen, seconds, tuple(laid), tuple(placements))


def compose(plan: Plan, out: Path) -> AsyncGenerator[Progress]:
    """Write the composition to `out`; gives how far it is."""
    return run_with_progress(_arguments(plan, out), plan.seconds)


async def read_facts(plan: Plan, out: Path) -> tuple[MediaInfo, Composition]:
    """Read the facts of a finished composition from its file.

    Raises:
        MediaInvalid: it is shorter than the base, which must then be cut off.
    """
    info = await probe(out, limits=LIMITS)
    if info.video is None or not info.duration:
        raise InternalFault("the composition has no pictures")
    if info.duration < plan.seconds - max(0.5, plan.seconds * 0.02):
        what = f"the base video is cut off: {info.duration:.1f} s of {plan.seconds:.1f} s could be read"
        raise MediaInvalid(what, hint="upload it again")
    size = Resolution(info.video.width, info.video.height)
    return info, Composition(
        duration=info.duration,
        resolution=size,
        aspect_ratio=aspect_ratio(size),
        frame_rate=info.video.frame_rate,
        base_duration=plan.seconds,
        base_resolution=plan.base.shown.size,
        overlays=tuple(_as_laid(placement, info.duration) for placement in plan.placements),
    )


def aspect_ratio(size: Resolution) -> str:
    """Give width to height in lowest terms: "16:9"."""
    common = math.gcd(size.width, size.height)
    return f"{size.width // common}:{size.height // common}"


def _as_laid(placement: Placement, seconds: float) -> PlacedOverlay:
    seen = min(placement.end, seconds) - placement.start
    return PlacedOverlay(placement.index, placement.start, seen, placement.x, placement.y, placement.size)


def _arguments(plan: Plan, out: Path) -> list[str]:
    source = plan.base.open()
    picture = squared(source["v:0"], even=True)
    for overlay, placement in zip(plan.overlays, plan.placements, strict=True):
        picture = picture.overlay(
            _prepared(overlay, placement),
            x=placement.x,
            y=placement.y,
            format="yuv444",  # with 4:2:0 overlays would be moved to even pixels
            eof_action="repeat" if placement.still else "pass",  # a still is one picture, which stays
            enable=f"gte(t,{placement.start:.6f})*lt(t,{placement.end:.6f})",
        )
    streams = [picture.filter("format", "yuv420p")]
    sound = plan.base.info.audio
    if sound is not None:
        streams.append(source["a:0"])
    options = _ENCODING | ({} if sound is None else {"acodec": "copy" if sound.codec == "aac" else "aac"})
    return arguments_of(write_media(out, *streams, limits=LIMITS, **options))


def _prepared(overlay: Visible, placement: Placement) -> Any:
    """Give an overlay's picture in its size, at its time and with its opacity."""
    size = placement.size
    picture = overlay.open()["v:0"].filter("scale", size.width, size.height).filter("setsar", "1")
    if placement.still:
        picture = picture.filter("trim", end_frame=1)
    else:
        picture = picture.filter("trim", duration=f"{placement.end - placement.start:.6f}")
        picture = picture.filter("setpts", f"PTS-STARTPTS+{placement.start:.6f}/TB")
    picture = picture.filter("format", "rgba")
    return picture if placement.opacity == 1 else picture.filter("colorchannelmixer", aa=f"{placement.opacity:.4f}")
