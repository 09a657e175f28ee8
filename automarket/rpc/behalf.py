"""Telemetry on behalf of a process that has none of its own: it says what happened, and this process exports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from automarket.rpc import telemetry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.metrics import Meter

_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


@dataclass(frozen=True, slots=True)
class FinishedSpan:
    """A span as its process saw it.

    Attributes:
        begin, end: seconds of the epoch.
        trace_id, span_id, parent_id: in hex; `parent_id` is empty where the trace begins with this span.
        error: the reason why it failed, empty when it did not.
    """

    name: str
    begin: float
    end: float
    trace_id: str
    span_id: str
    parent_id: str
    attributes: Mapping[str, str | int]
    error: str = ""


class Behalf:
    """Exports by OTLP what another process did. Telemetry must be installed.

    Args:
        service_name: what that process is called among spans and metrics.
    """

    def __init__(self, service_name: str) -> None:
        from opentelemetry.sdk.resources import Resource

        self._resource = Resource.create({"service.name": service_name, "service.namespace": "automarket"})
        self._processor = telemetry.span_processor()
        self._meters = telemetry.meter_provider(self._resource)
        telemetry.at_shutdown(self._processor.shutdown)
        telemetry.at_shutdown(self._meters.shutdown)

    def meter(self) -> Meter:
        """Give what makes metrics of that process."""
        return self._meters.get_meter("automarket")

    def export(self, spans: Iterable[FinishedSpan]) -> None:
        """Send spans, soon.

        Raises:
            ValueError: an id is not one, or a time is none; nothing is sent then.
        """
        for span in [self._readable(span) for span in spans]:
            self._processor.on_end(span)

    def _readable(self, span: FinishedSpan) -> Any:
        from opentelemetry.sdk.trace import ReadableSpan

        if not min(span.begin, span.end) > 0:
            message = "a span began or ended before all time"
            raise ValueError(message)
        parent = _context(span.trace_id, span.parent_id, is_remote=True) if span.parent_id else None
        return ReadableSpan(
            span.name,
            context=_context(span.trace_id, span.span_id, is_remote=False),
            parent=parent,
            resource=self._resource,
            attributes={**span.attributes, **({"error.type": span.error} if span.error else {})},
            kind=SpanKind.SERVER,
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
            start_time=int(span.begin * 1e9),
            end_time=int(span.end * 1e9),
        )


def _context(trace_id: str, span_id: str, *, is_remote: bool) -> SpanContext:
    ids = _id(trace_id, _TRACE_ID_BYTES), _id(span_id, _SPAN_ID_BYTES)
    return SpanContext(*ids, is_remote=is_remote, trace_flags=_SAMPLED)


def _id(text: str, size: int) -> int:
    data = bytes.fromhex(text)
    if len(data) != size:
        message = f"an id has {size} bytes"
        raise ValueError(message)
    return int.from_bytes(data, "big")
