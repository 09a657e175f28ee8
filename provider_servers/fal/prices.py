"""What a call at fal.ai used and cost: units are those of the vendor's price list."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from provider_servers.runtime.describe import Pricing
from provider_servers.runtime.estimates import Estimate
from provider_servers.runtime.events import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from automarket.media.info import MediaInfo
    from provider_servers.runtime.estimates import InputFacts

# The vendor's words for what it counts, in the contract's.
_UNITS = {
    "images": "image",
    "videos": "video",
    "megapixels": "megapixel",
    "processed megapixels": "megapixel",
    "seconds": "second",
    "video_second": "second",
    "video seconds": "second",
    "gpu second": "gpu-second",
    "gpu seconds": "gpu-second",
    "compute seconds": "gpu-second",
    "compute second": "gpu-second",
    "requests": "call",
    "request": "call",
}


def pricing_of(unit: str, price: float, currency: str) -> Pricing:
    """Give a price of the vendor's list as the contract has it."""
    plain = unit.strip().lower()
    return Pricing(_UNITS.get(plain, plain), output_cost=price, currency=currency)


def usage_of(
    pricing: Pricing | None, billed: float | None, count: int, outputs: Sequence[MediaInfo]
) -> tuple[Usage, ...]:
    """Say what was used, and what it cost where that can be told.

    Args:
        pricing: the price of a unit; None when unknown.
        billed: units that the vendor says it bills.
        count: how many outputs there are, downloaded or not.
        outputs: facts of those that were.
    """
    if pricing is None:
        return (Usage("call", 0, count),)
    units = _counted(pricing.unit, count, outputs) if billed is None else billed
    if units is None:
        return (Usage("call", 0, 1),)
    return (Usage(pricing.unit, 0, units, units * pricing.output_cost, pricing.currency),)


def estimate_of(
    pricing: Pricing | None,
    options: Mapping[str, Any],
    facts: Mapping[str, Sequence[InputFacts]],
    frame_rate: float = 0,
) -> Estimate | None:
    """Say what a call would cost; None where there is no price.

    Args:
        pricing: the price of a unit.
        options: of the call, checked, defaults filled in.
        facts: what is known of the inputs, by slot.
        frame_rate: pictures a second of what is made, where no option says it; 0 where that is not known.
    """
    if pricing is None:
        return None
    count = options.get("count") or 1
    least = 0.0
    units: float | None = None
    if pricing.unit in ("image", "video", "call"):
        units = count
    elif pricing.unit == "megapixel":
        least = float(count)
        if (width := options.get("width")) and (height := options.get("height")):
            units = count * math.ceil(width * height / 1_000_000)
    elif pricing.unit == "second":
        units = _plays(options, facts, frame_rate)
    known = least if units is None else float(units)
    cost = known * pricing.output_cost if known else None
    return Estimate(cost, pricing.currency, pricing.unit, known, "vendor", at_least=units is None)


def _plays(options: Mapping[str, Any], facts: Mapping[str, Sequence[InputFacts]], frame_rate: float) -> float | None:
    """Give how long what is made will play: as it is asked for, or as long as what goes in."""
    said = options.get("video_length") or options.get("duration")
    frames, rate = options.get("num_frames"), options.get("fps") or frame_rate
    if said:
        return float(said)
    if frames and rate:
        return float(frames / rate)
    given = [one.seconds for slot in ("video", "speech", "audio") for one in facts.get(slot, ()) if one.seconds]
    return max(given, default=None)


def _counted(unit: str, count: int, outputs: Sequence[MediaInfo]) -> float | None:
    """Count what was made; None where the unit is one that only the vendor can count."""
    if unit in ("image", "video"):
        return count
    if unit == "call":
        return 1
    whole = len(outputs) == count
    if unit == "second" and whole and all(one.duration for one in outputs):
        return round(sum(one.duration or 0 for one in outputs), 3)
    pictures = [one.video for one in outputs if one.video is not None and not one.duration]
    if unit == "megapixel" and whole and len(pictures) == count:
        return sum(math.ceil(one.width * one.height / 1_000_000) for one in pictures)
    return None
