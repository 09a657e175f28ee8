"""Cancels and deadlines reach the handler at once, wherever it stands."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from automarket.errors import ModelUnknown
from automarket.rpc.channel import errors_mapped
from automarket.rpc.streams import BidiCall
from automarket.v1 import model_service_pb2
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from tests.rpc.serving import asking, endless, header, serving

pytestmark = pytest.mark.alone

AT_ONCE = 0.5  # seconds


async def test_cancelling_the_reader_reaches_a_handler_that_waits_for_requests(short_dir):
    async def read(call, first):
        async for _ in call.responses():
            first.set()

    async with serving(short_dir) as (models, channel, _):
        for _ in range(25):
            models.closed.clear()
            first = asyncio.Event()
            async with BidiCall(ModelServiceStub(channel).Transform(), header(), endless()) as call:
                task = asyncio.create_task(read(call, first))
                await asyncio.wait_for(first.wait(), 2)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await asyncio.wait_for(models.closed.wait(), AT_ONCE)
        assert not models.saw_end


async def test_a_cancel_reaches_a_handler_that_is_held_up_by_a_slow_reader(short_dir):
    # The handler stands at its `yield` then, where gRPC by itself leaves it to the garbage collector.
    request = model_service_pb2.GenerateRequest()
    request.target.model = "flood"
    async with serving(short_dir) as (models, channel, _):
        for _ in range(25):
            models.closed.clear()
            call = ModelServiceStub(channel).Generate(request)
            await call.read()
            await asyncio.sleep(0.02)  # the window is full by now
            call.cancel()
            await asyncio.wait_for(models.closed.wait(), AT_ONCE)


async def test_a_deadline_that_passes_closes_the_handler(short_dir):
    request = model_service_pb2.GenerateRequest()
    request.target.model = "flood"
    async with serving(short_dir) as (models, channel, _):
        for _ in range(25):
            models.closed.clear()
            call = ModelServiceStub(channel).Generate(request, timeout=0.05)
            await call.read()
            await asyncio.wait_for(models.closed.wait(), 0.05 + AT_ONCE)
            call.cancel()


async def test_a_deadline_is_seen_by_the_handler(short_dir):
    async with serving(short_dir) as (models, channel, _):
        for _ in range(25):
            with pytest.raises(ModelUnknown), errors_mapped():
                await ModelServiceStub(channel).GetModel(asking("x"), timeout=2)
            assert 0 < models.time_left <= 2.05  # gRPC rounds a time-out up by at most 1 %


UPLOADER = """
import asyncio, sys
from automarket.rpc.channel import open_channel
from automarket.rpc.streams import BidiCall
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from tests.rpc.serving import endless, header

async def main():
    async with open_channel(sys.argv[1]) as channel:
        async with BidiCall(ModelServiceStub(channel).Transform(), header(), endless()) as call:
            async for _ in call.responses():
                pass

asyncio.run(main())
"""


async def test_a_client_that_is_killed_is_no_regular_end_of_its_requests(short_dir):
    async with serving(short_dir) as (models, _, _):
        for _ in range(10):
            models.closed.clear()
            models.working.clear()
            process = subprocess.Popen([sys.executable, "-c", UPLOADER, f"unix:{short_dir}/s.sock"])
            await asyncio.wait_for(models.working.wait(), 20)
            process.kill()
            process.wait()
            await asyncio.wait_for(models.closed.wait(), AT_ONCE)
            assert not models.saw_end
