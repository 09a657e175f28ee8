"""Traces and metrics, collected by a real OTLP server."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import grpc.aio
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from automarket.rpc import telemetry

METHOD = "automarket.v1.ModelService/GetModel"
TRANSFORM = "automarket.v1.ModelService/Transform"

# Serves ModelService; GetModel asks the server before it in turn, as a gateway does.
SERVER = """
import sys
from automarket.errors import ModelUnknown
from automarket.rpc.channel import open_channel
from automarket.rpc.process import run_server
from automarket.rpc.server import RpcServer
from automarket.rpc.telemetry import inject, span
from automarket.v1.model_service_pb2 import GetModelRequest, GetModelResponse, TransformResponse
from automarket.v1.model_service_pb2_grpc import *

name, address, behind = sys.argv[1:]

class Models(ModelServiceServicer):
    async def GetModel(self, request, context):
        if behind:
            async with open_channel(behind) as channel:
                return await ModelServiceStub(channel).GetModel(request, metadata=inject())
        with span("ffmpeg", role="speech"):
            if request.target.model == "unknown":
                raise ModelUnknown("no such model")
        return GetModelResponse()

    async def Transform(self, requests, context):
        async for request in requests:
            with span("step"):
                yield TransformResponse()

async def main(stop):
    server = RpcServer([address], [])
    add_ModelServiceServicer_to_server(Models(), server.grpc)
    await server.start()
    print("ready", flush=True)
    await stop.wait()
    await server.drain(0)

raise SystemExit(run_server(name, main))
"""

CLIENT = """
import asyncio, sys
from automarket.errors import AutoMarketError
from automarket.rpc import telemetry
from automarket.rpc.channel import errors_mapped, open_channel
from automarket.rpc.streams import BidiCall
from automarket.v1.model_service_pb2 import GetModelRequest, TransformRequest
from automarket.v1.model_service_pb2_grpc import ModelServiceStub

async def main():
    telemetry.configure("client")
    telemetry.configure("client")  # once more does no harm
    async with open_channel(sys.argv[1]) as channel:
        stub = ModelServiceStub(channel)
        request = GetModelRequest()
        request.target.model = sys.argv[2]
        try:
            with telemetry.span("transform"):
                if sys.argv[2] == "cancel":
                    call = BidiCall(stub.Transform(metadata=telemetry.inject()), TransformRequest())
                    async with call:
                        await anext(call.responses())
                else:
                    with errors_mapped():
                        await stub.GetModel(request, metadata=telemetry.inject())
        except AutoMarketError:
            pass
    telemetry.shutdown()

asyncio.run(main())
"""


class Collector:
    def __init__(self):
        self.spans = []  # (service, span)
        self.metrics = {}  # name to its points, of every service

    async def traces(self, request, _):
        for resource in request.resource_spans:
            attributes = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [(attributes["service.name"], span) for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()

    async def numbers(self, request, _):
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self.metrics.setdefault(metric.name, []).append(metric)
        return metrics_service_pb2.ExportMetricsServiceResponse()


@asynccontextmanager
async def collecting():
    collector = Collector()
    traces = trace_service_pb2_grpc.TraceServiceServicer()
    traces.Export = collector.traces
    numbers = metrics_service_pb2_grpc.MetricsServiceServicer()
    numbers.Export = collector.numbers
    server = grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(traces, server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(numbers, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield collector, f"http://127.0.0.1:{port}"
    await server.stop(0)


async def run(short_dir, endpoint, what):
    """Run a client against two servers in a row, all as processes that export; give what they wrote to stderr."""
    env = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    provider, gateway = f"unix:{short_dir}/p.sock", f"unix:{short_dir}/g.sock"
    servers = []
    for name, address, behind in (("provider", provider, ""), ("gateway", gateway, provider)):
        command = [sys.executable, "-c", SERVER, name, address, behind]
        server = await asyncio.create_subprocess_exec(*command, env=env, stdout=-1, stderr=-1)
        await server.stdout.readline()
        servers.append(server)
    target = provider if what == "cancel" else gateway
    client = await asyncio.create_subprocess_exec(sys.executable, "-c", CLIENT, target, what, env=env, stderr=-1)
    _, said = await client.communicate()
    for server in servers:
        server.terminate()
    return said + b"".join([(await server.communicate())[1] for server in servers])


async def test_one_trace_leads_through_every_process(short_dir):
    async with collecting() as (collector, endpoint):
        await run(short_dir, endpoint, "known")
    chain = [("client", "transform"), ("gateway", METHOD), ("provider", METHOD), ("provider", "ffmpeg")]
    spans = {(service, span.name): span for service, span in collector.spans}
    assert set(spans) == set(chain)
    assert len({span.trace_id for span in spans.values()}) == 1
    for parent, child in itertools.pairwise(chain):
        assert spans[child].parent_span_id == spans[parent].span_id


async def test_a_failed_call_is_marked_by_its_reason_in_every_span(short_dir):
    async with collecting() as (collector, endpoint):
        said = await run(short_dir, endpoint, "unknown")
    assert {span.status.message for _, span in collector.spans} == {"MODEL_UNKNOWN"}
    assert all(a.key != "exception.message" for _, span in collector.spans for e in span.events for a in e.attributes)
    assert b"Failed to detach" not in said
    calls = [point for m in collector.metrics["automarket.calls"] for point in m.sum.data_points]
    labels = {a.key: a.value.string_value for a in calls[0].attributes}
    assert labels == {"method": "/" + METHOD, "code": "NOT_FOUND"}
    [bounds, *_] = [
        point.explicit_bounds
        for m in collector.metrics["automarket.call.duration"]
        for point in m.histogram.data_points
    ]
    assert bounds[0] == 0.001


async def test_a_cancelled_stream_loses_no_span(short_dir):
    async with collecting() as (collector, endpoint):
        said = await run(short_dir, endpoint, "cancel")
    assert b"Failed to detach" not in said
    assert {span.name for _, span in collector.spans} >= {"transform", TRANSFORM, "step"}
    assert len({span.trace_id for _, span in collector.spans}) == 1


def test_nothing_is_exported_unless_it_is_asked_for(monkeypatch):
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("AUTOMARKET_TELEMETRY", raising=False)
    assert not telemetry.is_wanted()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
    assert telemetry.is_wanted()
    monkeypatch.setenv("AUTOMARKET_TELEMETRY", "off")
    assert not telemetry.is_wanted()
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
    monkeypatch.setenv("AUTOMARKET_TELEMETRY", "on")
    assert telemetry.is_wanted()


def test_trace_ids_travel_even_when_nobody_collects():
    async def first():
        telemetry.adopt(())  # a call without a trace begins one
        return telemetry.current_trace_id(), telemetry.inject([("a", "b")])

    async def second(metadata):
        telemetry.adopt(metadata)
        with telemetry.span("inside"):
            return telemetry.current_trace_id()

    trace_id, metadata = asyncio.run(first())
    assert len(trace_id) == 32
    assert metadata[0] == ("a", "b")
    assert asyncio.run(second(metadata)) == trace_id
    assert telemetry.current_trace_id() == ""


@pytest.mark.alone
def test_a_span_costs_next_to_nothing_when_nobody_collects():
    begin = time.perf_counter()
    for _ in range(1000):
        with telemetry.span("x"):
            pass
    assert time.perf_counter() - begin < 0.5
    assert (
        subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys, automarket.rpc.telemetry; sys.exit('opentelemetry.sdk' in sys.modules)",
            ],
            check=False,
        ).returncode
        == 0
    )
