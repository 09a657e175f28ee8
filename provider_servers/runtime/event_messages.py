"""Events as the contract's messages, and which of them only say that a call waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from automarket.v1 import transform_pb2

if TYPE_CHECKING:
    from provider_servers.runtime.events import Checkpoint, Progress, Usage

BACKEND_PHASES = ("pulling", "starting", "loading")
_WAITING = ("queued", "casting", *BACKEND_PHASES)
_MAX_CHECKPOINT_BYTES = 64 * 1024
_FIELDS: dict[type, str] = {
    transform_pb2.Accepted: "accepted",
    transform_pb2.Progress: "progress",
    transform_pb2.OutputStarted: "output_started",
    transform_pb2.OutputChunk: "output_chunk",
    transform_pb2.TextDelta: "text_delta",
    transform_pb2.Segment: "segment",
    transform_pb2.OutputFinished: "output_finished",
    transform_pb2.Usage: "usage",
    transform_pb2.Checkpoint: "checkpoint",
    transform_pb2.Finished: "finished",
}


def numbered(payload: Any, sequence: int) -> transform_pb2.TransformEvent:
    """Give an event of now."""
    event = transform_pb2.TransformEvent(sequence=sequence, **{_FIELDS[type(payload)]: payload})
    event.event_time.GetCurrentTime()
    return event


def waits(payload: Any) -> bool:
    """Tell whether an event only says that the work has not begun."""
    return isinstance(payload, transform_pb2.Progress) and payload.phase in _WAITING


def progress_message(event: Progress) -> transform_pb2.Progress:
    """Give progress as a message."""
    return transform_pb2.Progress(phase=event.phase, fraction=event.fraction, message=event.message)


def usage_message(event: Usage) -> transform_pb2.Usage:
    """Give usage as a message."""
    return transform_pb2.Usage(
        unit=event.unit,
        input_units=event.input_units,
        output_units=event.output_units,
        cost=event.cost,
        currency=event.currency,
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
