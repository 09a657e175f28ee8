"""Where, when and how large each overlay of a composition lies: numbers only, no FFmpeg."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automarket.errors import OptionInvalid
from provider_servers.runtime.events import Resolution

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

POSITIONS = (
    "top-left",
    "top",
    "top-right",
    "left",
    "center",
    "right",
    "bottom-left",
    "bottom",
    "bottom-right",
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture or video as a player shows it: turned upright, pixels square.

    `duration` is in seconds; None for a still picture, or when a video does not tell.
    """

    size: Resolution
    still: bool
    duration: float | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """One overlay as it is laid: pixels of the base, and seconds from its start."""

    index: int
    x: int
    y: int
    size: Resolution
    start: float
    end: float
    opacity: float
    still: bool


def place_all(
    wishes: Sequence[Mapping[str, Any]], base: Resolution, overlays: Sequence[Shown], base_seconds: float
) -> list[Placement]:
    """Give every overlay its place.

    Args:
        wishes: the option `overlays`, in the order of the inputs; overlays without one lie top left, from the start.
        base: size of the base.
        overlays: the overlays.
        base_seconds: how long the base plays.

    Raises:
        OptionInvalid: more wishes than overlays, a place by name and by number at once, or one that is never seen.
    """
    if len(wishes) > len(overlays):
        what = f"there are {len(overlays)} overlays and {len(wishes)} entries"
        raise _invalid(f"[{len(overlays)}]", what, "give one entry for each input of slot overlays, in order")
    return [
        _place(index, wishes[index] if index < len(wishes) else {}, base, overlay, base_seconds)
        for index, overlay in enumerate(overlays)
    ]


def _place(index: int, wish: Mapping[str, Any], base: Resolution, overlay: Shown, base_seconds: float) -> Placement:
    start = wish.get("start", 0.0)
    if start >= base_seconds:
        raise _invalid(f"[{index}].start", f"{start:g} s is not within the base, which lasts {base_seconds:.3f} s")
    size = _size(wish, overlay.size)
    x, y = _corner(index, wish, base, size)
    stay = min(wish.get("duration", base_seconds), base_seconds if overlay.duration is None else overlay.duration)
    end = min(start + stay, base_seconds)
    return Placement(index, x, y, size, start, end, wish.get("opacity", 1.0), overlay.still)


def _size(wish: Mapping[str, Any], own: Resolution) -> Resolution:
    width: int | None = wish.get("width")
    height: int | None = wish.get("height")
    if width is None:
        if height is None:
            return own
        return Resolution(max(1, round(own.width * height / own.height)), height)
    return Resolution(width, max(1, round(own.height * width / own.width)) if height is None else height)


def _corner(index: int, wish: Mapping[str, Any], base: Resolution, size: Resolution) -> tuple[int, int]:
    name = wish.get("position")
    if name is not None:
        if "x" in wish or "y" in wish:
            raise _invalid(f"[{index}].position", "excludes x and y", "give a name, or x and y")
        return _named_corner(name, base, size)
    x = _from_edge(wish.get("x", 0), base.width)
    y = _from_edge(wish.get("y", 0), base.height)
    for axis, begin, length, limit in (("x", x, size.width, base.width), ("y", y, size.height, base.height)):
        if begin >= limit or begin + length <= 0:
            what = f"{wish[axis]} lies outside the base, which is {base.width}x{base.height}"
            raise _invalid(f"[{index}].{axis}", what)
    return x, y


def _from_edge(offset: int, length: int) -> int:
    """Give the offset from the near edge; negative ones count from the far edge."""
    return offset if offset >= 0 else length + offset


def _named_corner(name: str, base: Resolution, size: Resolution) -> tuple[int, int]:
    left, top = base.width - size.width, base.height - size.height
    x = 0 if "left" in name else left if "right" in name else left // 2
    y = 0 if "top" in name else top if "bottom" in name else top // 2
    return x, y


def _invalid(place: str, what: str, hint: str | None = None) -> OptionInvalid:
    return OptionInvalid(
        f"option overlays{place}: {what}", hint=hint, fields={f"header.video_composition.overlays{place}": what}
    )
