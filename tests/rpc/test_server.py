"""Servers and calls, over real sockets."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from automarket.errors import (
    AssetCorrupt,
    CallCancelled,
    DigestMismatch,
    InternalFault,
    ModelUnknown,
    StateError,
    UnavailableError,
)
from automarket.rpc.channel import errors_mapped, open_channel
from automarket.rpc.server import RpcServer
from automarket.rpc.streams import BidiCall
from automarket.v1 import asset_service_pb2, model_service_pb2, transform_pb2
from automarket.v1.asset_service_pb2_grpc import (
    AssetServiceServicer,
    AssetServiceStub,
    add_AssetServiceServicer_to_server,
)
from automarket.v1.model_service_pb2_grpc import (
    ModelServiceServicer,
    ModelServiceStub,
    add_ModelServiceServicer_to_server,
)

CHUNK = bytes(256 * 1024)


class Models(ModelServiceServicer):
    def __init__(self):
        self.cancelled = asyncio.Event()
        self.time_left = None

    async def GetModel(self, request, context):
        self.time_left = context.time_remaining()
        if request.target.model == "bug":
            raise ValueError("secret")
        raise ModelUnknown("no model has that name", hint="automarket models", fields={"target.model": "unknown"})

    async def Transform(self, requests, context):
        header = await anext(requests)
        await context.send_initial_metadata((("automarket-instance", "one"),))
        if header.target.model == "early":
            raise DigestMismatch("the first chunk is wrong already")
        try:
            async for request in requests:
                yield model_service_pb2.TransformResponse(
                    event=transform_pb2.TransformEvent(sequence=request.chunk.offset_bytes)
                )
        finally:
            self.cancelled.set()

    async def Generate(self, request, context):
        yield model_service_pb2.GenerateResponse()
        raise ModelUnknown("in the middle")


class Assets(AssetServiceServicer):
    async def Write(self, requests, context):
        await anext(requests)
        await context.send_initial_metadata(())
        raise AssetCorrupt("no")


@asynccontextmanager
async def serving(folder):
    server = RpcServer([f"unix:{folder}/s.sock"], ["automarket.v1.ModelService"])
    models = Models()
    add_ModelServiceServicer_to_server(models, server.grpc)
    add_AssetServiceServicer_to_server(Assets(), server.grpc)
    [address] = await server.start()
    channel = open_channel(address)
    yield models, channel, server
    await channel.close()
    await server.drain(0)


def header(model=""):
    request = model_service_pb2.TransformRequest(header=transform_pb2.TransformHeader(request_id="r"))
    request.target.model = model
    return request


async def chunks(count):
    for number in range(count):
        chunk = transform_pb2.InputChunk(offset_bytes=number, data=CHUNK)
        yield model_service_pb2.TransformRequest(chunk=chunk)


async def test_an_error_of_a_unary_call_arrives_with_its_details(short_dir):
    async with serving(short_dir) as (_, channel, _):
        with pytest.raises(ModelUnknown) as caught, errors_mapped():
            await ModelServiceStub(channel).GetModel(model_service_pb2.GetModelRequest())
    assert caught.value.hint == "automarket models"
    assert caught.value.fields == {"target.model": "unknown"}


async def test_a_bug_is_a_fixed_sentence_to_the_client(short_dir):
    async with serving(short_dir) as (_, channel, _):
        request = model_service_pb2.GetModelRequest()
        request.target.model = "bug"
        with pytest.raises(InternalFault) as caught, errors_mapped():
            await ModelServiceStub(channel).GetModel(request)
    assert "secret" not in str(caught.value)


async def test_an_error_inside_a_response_stream_arrives(short_dir):
    async with serving(short_dir) as (_, channel, _):
        received = 0
        with pytest.raises(ModelUnknown), errors_mapped():
            async for _ in ModelServiceStub(channel).Generate(model_service_pb2.GenerateRequest()):
                received += 1
    assert received == 1


async def test_an_error_of_a_client_stream_arrives(short_dir):
    async with serving(short_dir) as (_, channel, _):
        call = AssetServiceStub(channel).Write()
        await call.write(asset_service_pb2.WriteRequest())
        await call.done_writing()
        with pytest.raises(AssetCorrupt), errors_mapped():
            await call


async def test_a_bidi_call_sends_everything_and_gets_every_answer(short_dir):
    async with serving(short_dir) as (_, channel, _):
        for _ in range(25):
            async with BidiCall(ModelServiceStub(channel).Transform(), header(), chunks(8)) as call:
                assert [r.event.sequence async for r in call.responses()] == list(range(8))


async def test_the_real_status_arrives_when_a_server_ends_a_call_during_an_upload(short_dir):
    async with serving(short_dir) as (_, channel, _):
        for _ in range(50):
            with pytest.raises(DigestMismatch):
                async with BidiCall(ModelServiceStub(channel).Transform(), header("early"), chunks(200)) as call:
                    async for _ in call.responses():
                        pass


async def test_an_error_of_the_chunk_source_is_raised_and_ends_the_call(short_dir):
    async def broken():
        async for chunk in chunks(2):
            yield chunk
        raise OSError("the disk is gone")

    async with serving(short_dir) as (models, channel, _):
        for _ in range(25):
            models.cancelled.clear()
            with pytest.raises(OSError, match="disk is gone"):
                async with BidiCall(ModelServiceStub(channel).Transform(), header(), broken()) as call:
                    async for _ in call.responses():
                        pass
            await asyncio.wait_for(models.cancelled.wait(), 1)


async def test_cancelling_the_reader_reaches_the_handler(short_dir):
    async def endless():
        while True:
            await asyncio.sleep(0.01)
            yield model_service_pb2.TransformRequest(chunk=transform_pb2.InputChunk(data=b"x"))

    async def read(call, first):
        async for _ in call.responses():
            first.set()

    async with serving(short_dir) as (models, channel, _):
        for _ in range(25):
            models.cancelled.clear()
            first = asyncio.Event()
            async with BidiCall(ModelServiceStub(channel).Transform(), header(), endless()) as call:
                task = asyncio.create_task(read(call, first))
                await asyncio.wait_for(first.wait(), 2)
                task.cancel()
            await asyncio.wait_for(models.cancelled.wait(), 0.5)


async def test_a_deadline_is_seen_by_the_handler(short_dir):
    async with serving(short_dir) as (models, channel, _):
        for _ in range(25):
            with pytest.raises(ModelUnknown), errors_mapped():
                await ModelServiceStub(channel).GetModel(model_service_pb2.GetModelRequest(), timeout=2)
            assert 0 < models.time_left <= 2.05  # gRPC rounds a time-out up by at most 1 %


async def test_health_and_drain(short_dir):
    async with serving(short_dir) as (_, channel, server):
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service="automarket.v1.ModelService")
        assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
        server.set_serving("automarket.v1.ModelService", serving=False)
        assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_server_refuses_the_network_until_it_is_allowed():
    with pytest.raises(StateError, match="refusing"):
        await RpcServer(["0.0.0.0:0"], []).start()


async def test_a_taken_port_is_an_error(short_dir):
    first = RpcServer(["127.0.0.1:0"], [])
    [address] = await first.start()
    with pytest.raises(StateError, match="cannot listen"):
        await RpcServer([address], []).start()
    await first.drain(0)


FROZEN = """
import asyncio, sys
from automarket.rpc.server import RpcServer
from automarket.v1.model_service_pb2_grpc import ModelServiceServicer, add_ModelServiceServicer_to_server

class Models(ModelServiceServicer):
    async def Transform(self, requests, context):
        await context.send_initial_metadata(())
        async for _ in requests:
            pass
        yield

async def main():
    server = RpcServer([sys.argv[1]], [])
    add_ModelServiceServicer_to_server(Models(), server.grpc)
    await server.start()
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_frozen_server_is_noticed_within_seconds(short_dir):
    address = f"unix:{short_dir}/f.sock"
    process = subprocess.Popen([sys.executable, "-c", FROZEN, address], stdout=subprocess.PIPE)
    try:
        await asyncio.to_thread(process.stdout.readline)
        channel = open_channel(address)
        async with BidiCall(ModelServiceStub(channel).Transform(), header(), endless_pause()) as call:
            reading = asyncio.create_task(anext(call.responses(), None))
            await asyncio.sleep(0.5)
            os.kill(process.pid, signal.SIGSTOP)
            begin = time.monotonic()
            with pytest.raises(UnavailableError):
                await asyncio.wait_for(reading, 10)
            assert time.monotonic() - begin < 4.5
        await channel.close()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def endless_pause():
    await asyncio.sleep(60)
    yield None


async def test_nobody_there_is_unavailable(short_dir):
    channel = open_channel(f"unix:{short_dir}/nobody.sock")
    with pytest.raises(UnavailableError), errors_mapped():
        await ModelServiceStub(channel).GetModel(model_service_pb2.GetModelRequest(), timeout=5)
    await channel.close()


def test_a_cancel_and_a_deadline_are_told_apart():
    assert CallCancelled.code != StateError.code
    assert grpc.StatusCode.CANCELLED.value[0] == CallCancelled.code
