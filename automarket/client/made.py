"""What the events of a call say of what it made: metadata of texts and media."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automarket.assets.metadata import MediaMetadata, Resolution
from automarket.assets.text import TextMetadata
from automarket.chat.results import Completion
from automarket.client import events as e
from automarket.client.answers import Answer, cost_of, tokens_of

if TYPE_CHECKING:
    from collections.abc import Sequence


def text_metadata(
    request_id: str,
    accepted: e.Accepted | None,
    usage: Sequence[e.Usage],
    finished: e.OutputFinished | None,
    answer: Answer,
    *,
    partial: bool,
) -> TextMetadata:
    """Give what is known of a text."""
    cost, currency = cost_of(usage)
    return TextMetadata(
        model=accepted.model_id if accepted else "",
        provider=accepted.provider_id if accepted else "",
        usage=units_of(usage),
        partial=partial,
        request_id=request_id,
        tokens=tokens_of(usage),
        cost=cost,
        currency=currency,
        completion=(finished.completion if finished else None) or Completion(),
        tool_calls=answer.tool_calls,
        reasoning=answer.reasoning,
    )


def media_metadata(
    request_id: str, accepted: e.Accepted | None, usage: Sequence[e.Usage], finished: e.OutputFinished | None
) -> MediaMetadata:
    """Give what is known of sound, a picture or a video."""
    cost, currency = cost_of(usage)
    info = finished.media_info if finished else None
    picture = info.video if info else None
    generated = (finished.generated if finished else None) or e.Generated()
    return MediaMetadata(
        model=accepted.model_id if accepted else "",
        provider=accepted.provider_id if accepted else "",
        request_id=request_id,
        duration=info.duration if info else None,
        resolution=Resolution(picture.width, picture.height) if picture else None,
        frame_rate=(picture.frame_rate or None) if picture else None,
        seed=generated.seed,
        flagged=generated.flagged,
        safety_flags=generated.safety_flags,
        revised_prompt=generated.revised_prompt,
        vendor_request_id=generated.vendor_request_id,
        usage=units_of(usage),
        cost=cost,
        currency=currency,
        composition=finished.composition if finished else None,
    )


def units_of(usage: Sequence[e.Usage]) -> dict[str, float]:
    """Give what was used by unit, input and output together."""
    found: dict[str, float] = {}
    for used in usage:
        found[used.unit] = found.get(used.unit, 0.0) + used.input_units + used.output_units
    return found
