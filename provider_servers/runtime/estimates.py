"""What a call would cost, worked out from the model's price and what is known of the call before it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automarket.assets.roles import Role
from automarket.v1 import transform_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provider_servers.runtime.describe import Model, Slot
    from provider_servers.runtime.store import StoreLink

_COUNTS = ("count", "num_images", "n", "num_outputs")
_SECONDS = ("duration", "video_length", "duration_seconds", "seconds")


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a call is expected to cost.

    Attributes:
        cost: in `currency`; None is not known.
        unit: what is counted: "image", "second", "character", "call".
        units: how many are expected.
        source: "vendor" where it was asked, "table" where the price was known beforehand.
        at_least: the call may come out more expensive, because how much it makes is not known beforehand.
    """

    cost: float | None
    currency: str = "USD"
    unit: str = ""
    units: float = 0.0
    source: str = "table"
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class InputFacts:
    """What is known of an input before it is read; None is not known."""

    size_bytes: int | None = None
    characters: int | None = None
    seconds: float | None = None


async def facts_of(
    inputs: Sequence[transform_pb2.Input], slots: Sequence[Slot], store: StoreLink
) -> dict[str, list[InputFacts]]:
    """Give what is known of the inputs, by slot. Nothing is read but what the request itself holds.

    Raises:
        AssetUnknown: no asset has that digest.
    """
    found: dict[str, list[InputFacts]] = {}
    for given, slot in zip(inputs, slots, strict=True):
        found.setdefault(slot.name, []).append(await _facts(given, slot, store))
    return found


async def _facts(given: transform_pb2.Input, slot: Slot, store: StoreLink) -> InputFacts:
    kind = given.WhichOneof("source")
    if kind == "inline":
        text = given.inline.decode(errors="replace") if slot.role == Role.TEXT else None
        return InputFacts(len(given.inline), None if text is None else len(text))
    if kind == "digest" and store.there:
        asset = await store.client.stat(given.digest)
        seconds = asset.media_info.duration if asset.media_info else None
        return InputFacts(asset.size_bytes, asset.size_bytes if slot.role == Role.TEXT else None, seconds)
    return InputFacts(given.size_bytes if given.HasField("size_bytes") else None)


def estimated(model: Model, options: Mapping[str, Any], facts: Mapping[str, Sequence[InputFacts]]) -> Estimate | None:
    """Give what a call costs by the model's price; None where it has none."""
    price = model.pricing
    if price is None:
        return None
    taken = _units_in(price.unit, facts) if price.input_cost else 0.0
    made = _units_out(price.unit, options) if price.output_cost else 0.0
    known = [
        units * cost for units, cost in ((taken, price.input_cost), (made, price.output_cost)) if units is not None
    ]
    cost = math.fsum(known)
    complete = taken is not None and made is not None
    return Estimate(
        cost if complete or cost else None,
        price.currency,
        price.unit,
        (made or 0.0) if price.output_cost else (taken or 0.0),
        "table",
        at_least=not complete and cost > 0,
    )


def _units_in(unit: str, facts: Mapping[str, Sequence[InputFacts]]) -> float | None:
    if unit == "call":
        return 1.0
    if unit == "image":
        return float(sum(map(len, facts.values())))
    every = [one for several in facts.values() for one in several]
    if unit == "character":
        return _sum(one.characters for one in every if one.characters is not None)
    if unit == "second":
        return _sum(one.seconds for one in every if one.seconds is not None)
    return None


def _units_out(unit: str, options: Mapping[str, Any]) -> float | None:
    if unit == "call":
        return 1.0
    count = next((float(options[name]) for name in _COUNTS if isinstance(options.get(name), int | float)), 1.0)
    if unit == "image":
        return count
    if unit == "megapixel":
        width, height = options.get("width"), options.get("height")
        return count * width * height / 1e6 if width and height else None
    if unit == "second":
        return _played(options)
    return None


def _played(options: Mapping[str, Any]) -> float | None:
    """Give how long what is made plays, where the options say it."""
    for name in _SECONDS:
        if isinstance(options.get(name), int | float):
            return float(options[name])
    frames, rate = options.get("num_frames"), options.get("fps")
    return frames / rate if frames and rate else None


def _sum(values: Iterator[float]) -> float | None:
    """Give the sum of what is known, None where nothing is."""
    known = list(values)
    return math.fsum(known) if known else None


def estimate_to_proto(estimate: Estimate | None) -> transform_pb2.CostEstimate:
    """Give an estimate as a message; one that nobody can make has no cost."""
    if estimate is None:
        return transform_pb2.CostEstimate()
    return transform_pb2.CostEstimate(
        cost=estimate.cost,
        currency=estimate.currency,
        unit=estimate.unit,
        units=estimate.units,
        source=estimate.source,
        at_least=estimate.at_least,
    )
