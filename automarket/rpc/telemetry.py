"""Traces and metrics by OpenTelemetry, cheap when nobody collects them.

The API alone is a dependency of the client. `configure` sets up the SDK and the OTLP exporter when an endpoint is named
by the standard variable OTEL_EXPORTER_OTLP_ENDPOINT, or AUTOMARKET_TELEMETRY=on says that a collector listens at the
standard address; AUTOMARKET_TELEMETRY=off keeps it off. Without it spans are no-ops, and trace ids still travel, so
that the logs of all processes can be put together. Context travels as W3C `traceparent` in call metadata.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import threading
from typing import TYPE_CHECKING, Any

import grpc.aio
from opentelemetry import context as otel_context
from opentelemetry import metrics, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from automarket.errors import AutoMarketError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span

ENDPOINT_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
SWITCH_VARIABLE = "AUTOMARKET_TELEMETRY"
SHUTDOWN_SECONDS = 1.5

_PROPAGATOR = TraceContextTextMapPropagator()
_SEND_MILLISECONDS = 500
_tracer = trace.get_tracer("automarket")
_stops: list[Callable[[], object]] = []
log = logging.getLogger("automarket.telemetry")


def is_wanted() -> bool:
    """Tell whether this process is asked to export what it records."""
    switch = os.environ.get(SWITCH_VARIABLE, "").lower()
    return switch in ("on", "1", "true") or (bool(os.environ.get(ENDPOINT_VARIABLE)) and not switch)


def is_configured() -> bool:
    """Tell whether somebody has set up tracing in this process: `configure`, or the program that we are a part of."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def is_exporting() -> bool:
    """Tell whether this process exports what it records: it is asked to, and all that it takes is installed."""
    return is_wanted() and is_configured()


def configure(service_name: str, *, attributes: Mapping[str, str] | None = None) -> None:
    """Export this process's spans and metrics by OTLP, when that is wanted and nobody has set up tracing already.

    Args:
        service_name: what this process is called among the spans.
        attributes: further facts about the process, for every span and metric.
    """
    if not is_wanted() or is_configured():
        return
    try:
        _configure({"service.name": service_name, "service.namespace": "automarket", **(attributes or {})})
    except ImportError:
        log.warning("telemetry is asked for, but not installed: pip install 'automarket[mesh]'")


def _configure(attributes: dict[str, str]) -> None:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    resource = Resource.create(attributes)
    # `shutdown` ends both within a bound; at exit they would wait long for a collector that is not there.
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(span_processor())
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(meter_provider(resource))


def span_processor() -> SpanProcessor:
    """Give what sends spans to the collector."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(OTLPSpanExporter(insecure=_is_plain()), schedule_delay_millis=_SEND_MILLISECONDS)


def meter_provider(resource: Resource) -> MeterProvider:
    """Give what sends metrics of a process to the collector."""
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    reader = PeriodicExportingMetricReader(OTLPMetricExporter(insecure=_is_plain()))
    return MeterProvider(resource=resource, metric_readers=[reader], shutdown_on_exit=False)


def _is_plain() -> bool | None:
    """Tell whether nothing is encrypted: without an endpoint the collector is on this machine."""
    return None if os.environ.get(ENDPOINT_VARIABLE) else True


def at_shutdown(stop: Callable[[], object]) -> None:
    """Have something else sent and ended by `shutdown`."""
    _stops.append(stop)


def shutdown() -> None:
    """Send what has not been sent yet, for up to 1.5 s. Harmless when nothing was configured."""
    providers: list[Any] = [trace.get_tracer_provider(), metrics.get_meter_provider()]
    stops = [*_stops, *(provider.shutdown for provider in providers if hasattr(provider, "shutdown"))]
    _stops.clear()
    threads = [threading.Thread(target=stop, daemon=True) for stop in stops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SHUTDOWN_SECONDS)


@contextlib.contextmanager
def span(name: str, kind: SpanKind = SpanKind.INTERNAL, **attributes: str | float | bool) -> Generator[Span]:
    """Record what happens inside as a span; an error that leaves it is named by its reason.

    Not for use around the `yield` of a generator, which may be closed from elsewhere.
    """
    with _tracer.start_as_current_span(
        name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            mark_failed(current, error)
            raise


@contextlib.contextmanager
def side_span(name: str) -> Generator[Span]:
    """Record what happens inside as a span that never becomes the current one: for generators anybody may close."""
    current = _tracer.start_span(name)
    try:
        yield current
    except BaseException as error:
        mark_failed(current, error)
        raise
    finally:
        current.end()


def mark_failed(current: Span, error: BaseException) -> None:
    """Say in a span why it failed; never the text of an unexpected error, which may hold anything."""
    if isinstance(error, grpc.aio.AbortError):  # only how gRPC ends a call; why is said where it is ended
        return
    reason = error.reason if isinstance(error, AutoMarketError) else type(error).__name__
    current.set_status(StatusCode.ERROR, reason)
    current.set_attribute("error.type", reason)


def inject(metadata: Iterable[tuple[str, str | bytes]] = ()) -> list[tuple[str, str | bytes]]:
    """Add the current trace to call metadata."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return [*metadata, *carrier.items()]


def adopt(metadata: Iterable[tuple[str, str | bytes]]) -> None:
    """Make the caller's trace the current one, for the rest of this task; begin one where there is none.

    There is nothing to undo: a server handles each call in a task, and so in a context, of its own.
    """
    carrier = {key: value for key, value in metadata if key in ("traceparent", "tracestate") and isinstance(value, str)}
    context = _PROPAGATOR.extract(carrier, otel_context.Context())
    if not trace.get_current_span(context).get_span_context().is_valid and not is_configured():
        context = trace.set_span_in_context(_unrecorded())
    otel_context.attach(context)


def _unrecorded() -> Span:
    """Begin a trace that nobody records here, for the logs. Its ids are no secret, so any random numbers do."""
    trace_id, span_id = random.getrandbits(128) | 1, random.getrandbits(64) | 1
    return NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)))


def current_trace_id() -> str:
    """Give the current trace as 32 hex digits, empty when there is none."""
    context = trace.get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else ""


def current_ids() -> dict[str, str]:
    """Give the current trace and span for a line of a log, nothing when there is none."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": format(context.trace_id, "032x"), "span_id": format(context.span_id, "016x")}
