"""Traces and metrics by OpenTelemetry, cheap when nobody collects them.

The API alone is a dependency of the client. `configure` sets up the SDK and the OTLP exporter in processes of the mesh
when an endpoint is named by the standard variable OTEL_EXPORTER_OTLP_ENDPOINT; without it spans are no-ops.
Context travels as W3C `traceparent` in call metadata.
"""

from __future__ import annotations

import contextlib
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from automarket.errors import AutoMarketError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from opentelemetry.trace import Span

ENDPOINT_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"

_PROPAGATOR = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("automarket")


def configure(service_name: str) -> None:
    """Export this process's spans and metrics by OTLP, when an endpoint is named and the SDK is installed."""
    if not os.environ.get(ENDPOINT_VARIABLE) or find_spec("opentelemetry.sdk") is None:
        return
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": service_name, "service.namespace": "automarket"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=500))
    trace.set_tracer_provider(provider)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    metrics.set_meter_provider(MeterProvider(resource=resource, metric_readers=[reader]))


def shutdown() -> None:
    """Send what has not been sent yet. Harmless when nothing was configured."""
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        stop = getattr(provider, "shutdown", None)
        if stop is not None:
            stop()


@contextlib.contextmanager
def span(name: str, kind: SpanKind = SpanKind.INTERNAL, **attributes: str | float | bool) -> Generator[Span]:
    """Record what happens inside as a span; an error that leaves it is named by its reason."""
    with _tracer.start_as_current_span(
        name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            mark_failed(current, error)
            raise


@contextlib.contextmanager
def detached_span(name: str, kind: SpanKind) -> Generator[Callable[[BaseException], None]]:
    """Record what happens inside as a span; give what marks it as failed.

    The span becomes the current one for the rest of the task and is not taken back: use it only where the task is the
    call. Unlike `span` it may be left from another context, as generators of cancelled calls are.
    """
    current = _tracer.start_span(name, kind=kind)
    otel_context.attach(trace.set_span_in_context(current))
    try:
        yield lambda error: mark_failed(current, error)
    finally:
        current.end()


def mark_failed(current: Span, error: BaseException) -> None:
    """Say in a span why it failed; never the text of an unexpected error, which may hold anything."""
    reason = error.reason if isinstance(error, AutoMarketError) else type(error).__name__
    current.set_status(StatusCode.ERROR, reason)
    current.set_attribute("error.type", reason)


def inject(metadata: Iterable[tuple[str, str | bytes]] = ()) -> list[tuple[str, str | bytes]]:
    """Add the current trace to call metadata."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return [*metadata, *carrier.items()]


def adopt(metadata: Iterable[tuple[str, str | bytes]]) -> None:
    """Make the caller's trace the current one, for the rest of this task.

    There is nothing to undo: a server handles each call in a task, and so in a context, of its own.
    """
    carrier = {key: value for key, value in metadata if key in ("traceparent", "tracestate") and isinstance(value, str)}
    if carrier:
        otel_context.attach(_PROPAGATOR.extract(carrier))


def current_trace_id() -> str:
    """Give the current trace as 32 hex digits, empty when there is none."""
    context = trace.get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else ""


def current_span_id() -> str:
    """Give the current span as 16 hex digits, empty when there is none."""
    context = trace.get_current_span().get_span_context()
    return format(context.span_id, "016x") if context.is_valid else ""
