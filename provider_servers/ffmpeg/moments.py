"""Which moments of a video become pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from automarket.errors import InputUnsuitable, OptionInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_PICTURES = 1000
_WAYS = ("times", "interval", "count")


def choose_moments(options: Mapping[str, Any], duration: float | None) -> list[float]:
    """Give the moments to take, in seconds from the start; the first picture when the options ask for none.

    `times` are taken as they are, `interval` begins at 0, and `count` takes the middles of so many equal parts, which
    spares thumbnails the black first picture that many videos have.

    Args:
        options: `times`, `interval` or `count`, checked against the schema already.
        duration: of the video in seconds; None when unknown.

    Raises:
        OptionInvalid: two ways at once, a moment after the end, or too many pictures.
        InputUnsuitable: the options need the play time, and the file does not tell it.
    """
    ways = [way for way in _WAYS if options.get(way) not in (None, [])]
    if not ways:
        return [0.0]
    if len(ways) > 1:
        raise _invalid(ways[1], f"excludes {ways[0]}", "give times, interval or count, one of them")
    if duration is None:
        raise InputUnsuitable(
            f"the video does not say how long it is, which {ways[0]} needs",
            hint="leave the option out to take the first picture, or convert the video first",
        )
    match ways[0]:
        case "times":
            return _at_times(options["times"], duration)
        case "interval":
            return _at_interval(options["interval"], duration)
        case _:
            return [(number + 0.5) * duration / options["count"] for number in range(options["count"])]


def _at_times(times: Sequence[float], duration: float) -> list[float]:
    for index, moment in enumerate(times):
        if not 0 <= moment <= duration:
            raise _invalid(f"times[{index}]", f"{moment:g} s is not within the video, which lasts {duration:.3f} s")
    return list(times)


def _at_interval(interval: float, duration: float) -> list[float]:
    count = max(1, math.ceil(duration / interval - 1e-6))
    if count > MOST_PICTURES:
        least = math.ceil(duration / MOST_PICTURES * 1000) / 1000
        message = f"every {interval:g} s makes {count:,} pictures; at most {MOST_PICTURES:,} are taken at a time"
        raise _invalid("interval", message, f"take {least:g} s or more")
    return [number * interval for number in range(count)]


def _invalid(field: str, what: str, hint: str | None = None) -> OptionInvalid:
    return OptionInvalid(f"option {field}: {what}", hint=hint, fields={f"header.video_to_image.{field}": what})
