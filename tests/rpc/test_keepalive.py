"""Peers that freeze, and peers that are only quiet."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from automarket.errors import UnavailableError
from automarket.rpc.channel import open_channel
from automarket.rpc.streams import BidiCall
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from tests.rpc.serving import endless, header, serving

NOTICED_WITHIN = 4.0  # seconds: 2 s between pings, 1 s for the answer, and a busy machine

SERVER = """
import asyncio, sys
from pathlib import Path
from tests.rpc.serving import serving

async def main():
    async with serving(Path(sys.argv[1])):
        print("ready", flush=True)
        await asyncio.sleep(120)

asyncio.run(main())
"""

CLIENT = """
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


@contextmanager
def process(program, argument):
    child = subprocess.Popen([sys.executable, "-c", program, argument], stdout=subprocess.PIPE)
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


@pytest.mark.alone
async def test_a_frozen_server_is_noticed_within_seconds(short_dir):
    with process(SERVER, str(short_dir)) as server:
        await asyncio.to_thread(server.stdout.readline)
        async with (
            open_channel(f"unix:{short_dir}/s.sock") as channel,
            BidiCall(ModelServiceStub(channel).Transform(), header(), endless()) as call,
        ):
            responses = call.responses()
            await anext(responses)
            os.kill(server.pid, signal.SIGSTOP)
            begin = time.monotonic()
            with pytest.raises(UnavailableError):
                async for _ in responses:
                    pass
            assert time.monotonic() - begin < NOTICED_WITHIN


@pytest.mark.alone
async def test_a_frozen_client_is_noticed_within_seconds(short_dir):
    async with serving(short_dir) as (models, _, _):
        with process(CLIENT, f"unix:{short_dir}/s.sock") as client:
            await asyncio.wait_for(models.working.wait(), 20)
            os.kill(client.pid, signal.SIGSTOP)
            begin = time.monotonic()
            await asyncio.wait_for(models.closed.wait(), NOTICED_WITHIN)
            assert time.monotonic() - begin < NOTICED_WITHIN


@pytest.mark.slow
async def test_a_quiet_call_is_not_ended_for_asking_too_often_whether_its_server_lives(short_dir):
    with process(SERVER, str(short_dir)) as server:
        await asyncio.to_thread(server.stdout.readline)
        async with open_channel(f"unix:{short_dir}/s.sock") as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            await watch.read()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(watch.read(), 12)
