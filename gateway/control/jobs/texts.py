"""Text of a job: it is kept a second at a time, for a job has as many events as its watchers can read later."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from automarket.v1 import transform_pb2

EVERY_SECONDS = 1.0
MOST_BYTES = 64 * 1024
_GATHERED = ("text_delta", "reasoning_delta", "tool_call_delta")


class Gathering:
    """Gathers pieces of text that follow one another into one event."""

    def __init__(self, every: float = EVERY_SECONDS) -> None:
        self._every = every
        self._event: transform_pb2.TransformEvent | None = None
        self._until = 0.0
        self._bytes = 0

    @property
    def left(self) -> float | None:
        """Seconds until what was gathered has to be given; None when there is nothing."""
        return None if self._event is None else max(0.0, self._until - time.monotonic())

    def add(self, event: transform_pb2.TransformEvent) -> list[transform_pb2.TransformEvent]:
        """Take an event; give those that are to be kept now, in order."""
        if event.WhichOneof("event") not in _GATHERED:
            return [*self.take(), event]
        size = event.ByteSize()
        if self._event is not None and self._bytes + size <= MOST_BYTES and _joined(self._event, event):
            self._bytes += size
            return []
        before = self.take()
        self._event, self._bytes = event, size
        self._until = time.monotonic() + self._every
        return before

    def take(self) -> list[transform_pb2.TransformEvent]:
        """Give what was gathered."""
        event, self._event = self._event, None
        return [] if event is None else [event]


def _joined(first: transform_pb2.TransformEvent, more: transform_pb2.TransformEvent) -> bool:
    """Add an event to one before it; False when they are of different kinds or outputs."""
    kind = more.WhichOneof("event")
    if kind != first.WhichOneof("event"):
        return False
    if kind == "text_delta" and first.text_delta.output == more.text_delta.output:
        first.text_delta.tokens.extend(more.text_delta.tokens)
        return True
    if kind == "reasoning_delta":
        one, other = first.reasoning_delta, more.reasoning_delta
        if one.output == other.output and not one.signature:
            one.tokens.extend(other.tokens)
            one.signature = other.signature
            return True
    if kind == "tool_call_delta":
        call, piece = first.tool_call_delta, more.tool_call_delta
        if (call.output, call.index) == (piece.output, piece.index) and not piece.id and not piece.name:
            call.arguments += piece.arguments
            return True
    return False
