"""Events as the contract's messages, and which of them only say that a call waits."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automarket.secrets import scrub
from automarket.v1 import conversation_pb2, generation_options_pb2, transform_pb2

if TYPE_CHECKING:
    from automarket.chat.results import Completion
    from provider_servers.runtime.describe import Pricing
    from provider_servers.runtime.events import Checkpoint, Generated, Progress, Usage

BACKEND_PHASES = ("pulling", "starting", "loading")
_WAITING = ("queued", "casting", *BACKEND_PHASES)
_MAX_CHECKPOINT_BYTES = 64 * 1024
_MAX_LOG_LINES = 100
_MAX_LINE_BYTES = 2048
_FIELDS: dict[type, str] = {
    transform_pb2.Accepted: "accepted",
    transform_pb2.Progress: "progress",
    transform_pb2.OutputStarted: "output_started",
    transform_pb2.OutputChunk: "output_chunk",
    transform_pb2.TextDelta: "text_delta",
    conversation_pb2.ReasoningDelta: "reasoning_delta",
    conversation_pb2.ToolCallDelta: "tool_call_delta",
    transform_pb2.Segment: "segment",
    transform_pb2.OutputFinished: "output_finished",
    transform_pb2.Usage: "usage",
    transform_pb2.Checkpoint: "checkpoint",
    transform_pb2.Finished: "finished",
}


@dataclass(slots=True)
class Tokens:
    """More of a text output. It becomes a message when it is sent: until then more can be added."""

    output: int
    tokens: list[str]


def write_event(payload: Any, sequence: int, event: transform_pb2.TransformEvent) -> None:
    """Fill an event of now in where it is to be: what is made elsewhere would be copied."""
    event.sequence = sequence
    now = time.time_ns()
    moment = event.event_time
    moment.seconds, moment.nanos = divmod(now, 1_000_000_000)
    if isinstance(payload, Tokens):
        delta = event.text_delta
        delta.output = payload.output
        delta.tokens.extend(payload.tokens)
    else:
        getattr(event, _FIELDS[type(payload)]).CopyFrom(payload)


def waits(payload: Any) -> bool:
    """Tell whether an event only says that the work has not begun."""
    return isinstance(payload, transform_pb2.Progress) and payload.phase in _WAITING


def progress_message(event: Progress) -> transform_pb2.Progress:
    """Give progress as a message; the vendor's lines without secrets."""
    return transform_pb2.Progress(
        phase=event.phase,
        fraction=event.fraction,
        message=event.message,
        queue_position=event.queue_position,
        log_lines=[_clipped(scrub(line)) for line in event.log_lines[-_MAX_LOG_LINES:]],
    )


def _clipped(line: str) -> str:
    return line.encode()[:_MAX_LINE_BYTES].decode(errors="ignore")


def generated_message(made: Generated) -> generation_options_pb2.GeneratedMedia:
    """Give what is known of media that a model made as a message."""
    return generation_options_pb2.GeneratedMedia(
        seed=made.seed,
        flagged=made.flagged,
        safety_flags=made.safety_flags,
        revised_prompt=made.revised_prompt,
        vendor_request_id=made.vendor_request_id,
    )


def usage_message(event: Usage, pricing: Pricing | None) -> transform_pb2.Usage:
    """Give usage as a message; what it cost is worked out by the model's price where nobody says it."""
    cost, currency = event.cost, event.currency
    if cost is None and pricing is not None and pricing.unit == event.unit:
        cost, currency = _cost(event, pricing), pricing.currency
    return transform_pb2.Usage(
        unit=event.unit,
        input_units=event.input_units,
        output_units=event.output_units,
        cost=cost,
        currency=currency,
        cached_input_units=event.cached_input_units,
        cache_write_units=event.cache_write_units,
        reasoning_units=event.reasoning_units,
    )


def _cost(event: Usage, pricing: Pricing) -> float:
    cached = event.cached_input_units or 0.0
    cheaper = pricing.input_cost if pricing.cached_input_cost is None else pricing.cached_input_cost
    fresh = (event.input_units - cached) * pricing.input_cost
    return fresh + cached * cheaper + event.output_units * pricing.output_cost


def completion_message(completion: Completion) -> conversation_pb2.Completion:
    """Give how a text ended as a message."""
    reason = completion.finish_reason
    return conversation_pb2.Completion(
        finish_reason=conversation_pb2.FinishReason.ValueType(reason.number if reason else 0),
        vendor_finish_reason=completion.vendor_finish_reason,
        served_model=completion.served_model,
        vendor_request_id=completion.vendor_request_id,
    )


def checkpoint_message(event: Checkpoint) -> transform_pb2.Checkpoint:
    """Give a checkpoint as a message.

    Raises:
        ValueError: it is too large.
    """
    if len(event.state) > _MAX_CHECKPOINT_BYTES:
        message = "a checkpoint is at most 64 KiB"
        raise ValueError(message)
    return transform_pb2.Checkpoint(state=event.state)
