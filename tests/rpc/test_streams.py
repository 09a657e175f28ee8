"""Calls that stream requests: everything arrives, and the status is the server's, whatever fails first."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import contextmanager

import grpc
import grpc.aio
import pytest

from automarket.errors import AssetCorrupt, CallCancelled, DataLossError, DigestMismatch, UnavailableError
from automarket.rpc.channel import open_channel
from automarket.rpc.streams import BidiCall, UploadCall
from automarket.v1 import asset_service_pb2, model_service_pb2
from automarket.v1.asset_service_pb2_grpc import AssetServiceStub
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from tests.rpc.serving import CHUNK, chunks, endless, header, serving

# Other people's servers end a call without reading on, and die: no part of ours helps the client here.
STOCK_SERVER = """
import asyncio, sys
import grpc.aio
from automarket.v1.model_service_pb2_grpc import ModelServiceServicer, add_ModelServiceServicer_to_server

class Models(ModelServiceServicer):
    async def Transform(self, requests, context):
        header = await anext(requests)
        await context.send_initial_metadata(())
        if header.target.model == "early":
            await context.abort(grpc.StatusCode.DATA_LOSS, "early")
        async for _ in requests:
            pass
        yield

async def main():
    server = grpc.aio.server()
    add_ModelServiceServicer_to_server(Models(), server)
    server.add_insecure_port(sys.argv[1])
    await server.start()
    print("ready", flush=True)
    await asyncio.sleep(120)

asyncio.run(main())
"""


@contextmanager
def stock_server(address):
    process = subprocess.Popen([sys.executable, "-c", STOCK_SERVER, address], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def read_all(call):
    async with call:
        return [response.event.sequence async for response in call.responses()]


def writes(count, name="good"):
    first = asset_service_pb2.WriteRequest()
    first.header.file_name = name

    async def rest():
        for _ in range(count):
            request = asset_service_pb2.WriteRequest()
            request.chunk.data = CHUNK
            yield request

    return first, rest()


async def test_a_bidi_call_sends_everything_and_gets_every_answer(short_dir):
    async with serving(short_dir) as (_, channel, _):
        for _ in range(25):
            call = BidiCall(ModelServiceStub(channel).Transform(), header(), chunks(8))
            assert await read_all(call) == list(range(8))


async def test_a_bidi_call_without_chunks_ends_after_its_header(short_dir):
    async with serving(short_dir) as (models, channel, _):
        for _ in range(25):
            assert await read_all(BidiCall(ModelServiceStub(channel).Transform(), header())) == []
        assert models.saw_end


async def test_an_upload_call_sends_everything_and_gets_its_answer(short_dir):
    async with serving(short_dir) as (_, channel, _):
        for _ in range(25):
            async with UploadCall(AssetServiceStub(channel).Write(), *writes(8)) as call:
                assert (await call.response()).asset.size_bytes == 8 * len(CHUNK)


async def test_the_real_status_arrives_when_a_server_ends_a_call_during_an_upload(short_dir):
    async with serving(short_dir) as (_, channel, _):
        for _ in range(50):
            with pytest.raises(DigestMismatch):
                await read_all(BidiCall(ModelServiceStub(channel).Transform(), header("early"), chunks(200)))
            with pytest.raises(AssetCorrupt):
                async with UploadCall(AssetServiceStub(channel).Write(), *writes(200, "bad")) as call:
                    await call.response()


async def test_the_real_status_arrives_even_from_a_server_that_does_not_read_on(short_dir):
    address = f"unix:{short_dir}/stock.sock"
    with stock_server(address):
        async with open_channel(address) as channel:
            for _ in range(50):
                with pytest.raises(DataLossError, match="early"):
                    await read_all(BidiCall(ModelServiceStub(channel).Transform(), header("early"), chunks(200)))


async def test_a_server_that_dies_during_an_upload_is_unavailable(short_dir):
    address = f"unix:{short_dir}/stock.sock"
    for _ in range(5):
        with stock_server(address) as process:
            async with open_channel(address) as channel:
                asyncio.get_running_loop().call_later(0.05, process.kill)
                with pytest.raises(UnavailableError):
                    await read_all(BidiCall(ModelServiceStub(channel).Transform(), header(), chunks(4000)))


async def test_an_error_of_the_chunk_source_is_raised_and_ends_the_call(short_dir):
    async def broken():
        async for chunk in chunks(2):
            yield chunk
        raise OSError("the disk is gone")

    async with serving(short_dir) as (models, channel, _):
        for _ in range(25):
            models.closed.clear()
            with pytest.raises(OSError, match="disk is gone"):
                await read_all(BidiCall(ModelServiceStub(channel).Transform(), header(), broken()))
            await asyncio.wait_for(models.closed.wait(), 1)


async def test_a_chunk_of_the_wrong_type_is_raised_to_the_reader(short_dir):
    async def wrong():
        yield "not a message"

    async with serving(short_dir) as (_, channel, _):
        with pytest.raises(TypeError, match="SerializeToString"):
            await asyncio.wait_for(read_all(BidiCall(ModelServiceStub(channel).Transform(), header(), wrong())), 2)


async def test_the_chunk_source_is_closed_when_a_call_is_given_up(short_dir):
    closed = asyncio.Event()

    async def source():
        try:
            while True:
                async for chunk in chunks(8):
                    yield chunk
        finally:
            closed.set()

    async with serving(short_dir) as (_, channel, _):
        for _ in range(25):
            closed.clear()
            async with BidiCall(ModelServiceStub(channel).Transform(), header(), source()) as call:
                await anext(call.responses())
            assert closed.is_set()


async def test_a_call_that_somebody_else_cancels_is_an_error_and_no_cancel_of_the_reader(short_dir):
    async with serving(short_dir) as (_, channel, _):
        for _ in range(25):
            raw = ModelServiceStub(channel).Transform()
            async with BidiCall(raw, header(), endless()) as call:
                responses = call.responses()
                await anext(responses)
                raw.cancel()
                with pytest.raises(CallCancelled):
                    async for _ in responses:
                        pass


async def test_a_stock_client_that_sends_its_header_first_gets_the_status(short_dir):
    # It reads initial metadata, then writes through grpc.aio: only our server's draining keeps the status.
    async with serving(short_dir) as (_, channel, _):
        wrong = 0
        for _ in range(25):
            call = ModelServiceStub(channel).Transform()
            await call.write(header("early"))
            await call.initial_metadata()
            with pytest.raises((grpc.aio.AioRpcError, asyncio.InvalidStateError)):
                async for chunk in chunks(20):
                    await call.write(chunk)
                await call.done_writing()
                await call.read()
            wrong += await call.code() != grpc.StatusCode.DATA_LOSS
        assert wrong == 0


async def test_messages_go_out_while_answers_come_in(short_dir):
    answered = asyncio.Event()

    async def one_at_a_time():
        for number in range(5):
            async for chunk in chunks(1):
                chunk.chunk.offset_bytes = number
                yield chunk
            await asyncio.wait_for(answered.wait(), 2)
            answered.clear()

    async with serving(short_dir) as (_, channel, _):
        for _ in range(25):
            seen = []
            call: BidiCall[model_service_pb2.TransformRequest, model_service_pb2.TransformResponse]
            async with BidiCall(ModelServiceStub(channel).Transform(), header(), one_at_a_time()) as call:
                async for response in call.responses():
                    seen.append(response.event.sequence)
                    answered.set()
            assert seen == list(range(5))
