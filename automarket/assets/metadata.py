"""What is known of media that a model made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Resolution(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class MediaMetadata:
    """Where media comes from that a model made, and what is known of it; all empty for media that was loaded.

    Attributes:
        model: what made it.
        provider: where that model runs.
        request_id: of the call that made it, by which the mesh and most vendors know it.
        duration: how long it plays, in seconds; None for pictures.
        resolution: width and height in pixels; None for sound.
        frame_rate: pictures a second; None for pictures and sound.
        seed: the same seed and options give the same result; None when the model does not say.
        flagged: whether the vendor's safety check objected; None when it does not say.
        safety_flags: what it objected to, in the vendor's words: "nsfw".
        revised_prompt: the text as the vendor rewrote it; empty when it did not.
        vendor_request_id: the vendor's name for the request; empty when it has none.
        usage: what the call used, by unit, e.g. {"image": 2}.
        cost: what the call cost, all its outputs together, in `currency`; None when unknown.
        currency: ISO 4217 code, e.g. "USD".
        composition: of a video that was made from videos: its facts, as `CompositionResult.facts` has them.
    """

    model: str = ""
    provider: str = ""
    request_id: str = ""
    duration: float | None = None
    resolution: Resolution | None = None
    frame_rate: float | None = None
    seed: int | None = None
    flagged: bool | None = None
    safety_flags: tuple[str, ...] = ()
    revised_prompt: str = ""
    vendor_request_id: str = ""
    usage: Mapping[str, float] = field(default_factory=dict[str, float])
    cost: float | None = None
    currency: str = ""
    composition: Mapping[str, Any] | None = None
