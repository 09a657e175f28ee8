"""A real OTLP collector: takes spans and metrics over gRPC and keeps them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc.aio
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass(frozen=True)
class CollectedSpan:
    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    error: str
    attributes: dict[str, object]
    seconds: float
    kind: int


@dataclass(frozen=True)
class CollectedPoint:
    """One value of a metric: a sum or level, or the number of a histogram's values."""

    service: str
    metric: str
    attributes: dict[str, object]
    value: float


class Collector(trace_service_pb2_grpc.TraceServiceServicer, metrics_service_pb2_grpc.MetricsServiceServicer):
    def __init__(self) -> None:
        self.spans: list[CollectedSpan] = []
        self.metrics: set[str] = set()
        self.points: list[CollectedPoint] = []

    def newest(self, metric, service="gateway"):
        """Give the newest value of a metric for each set of attributes."""
        points = [point for point in self.points if (point.service, point.metric) == (service, metric)]
        return {frozenset(point.attributes.items()): point.value for point in points}

    async def Export(self, request, context):
        if isinstance(request, metrics_service_pb2.ExportMetricsServiceRequest):
            for resource in request.resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        self.metrics.add(metric.name)
                        self.points += _points(_facts(resource.resource.attributes)["service.name"], metric)
            return metrics_service_pb2.ExportMetricsServiceResponse()
        for resource in request.resource_spans:
            service = _facts(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.spans += [_span(service, span) for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


def _facts(attributes):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def _span(service, span):
    return CollectedSpan(
        service=service,
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        error=span.status.message,
        attributes=_facts(span.attributes),
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        kind=span.kind,
    )


def _points(service, metric):
    for point in getattr(metric, metric.WhichOneof("data")).data_points:
        value = point.count if metric.HasField("histogram") else point.as_int or point.as_double
        yield CollectedPoint(service, metric.name, _facts(point.attributes), value)


@asynccontextmanager
async def collecting():
    """Run a collector; give it and its endpoint."""
    collector = Collector()
    server = grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield collector, f"http://127.0.0.1:{port}"
    finally:
        await server.stop(0)
