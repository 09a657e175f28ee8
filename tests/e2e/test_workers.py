"""Several gateway processes on one port: one that ends, in order or not, is not missed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack

import pytest

from automarket.cli.up.port import listens
from automarket.errors import AutoMarketError, UnavailableError
from automarket.rpc.channel import open_channel
from automarket.rpc.streams import BidiCall
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from tests.support.gateway import header
from tests.support.load import ask, echo, load_running, peer_running
from tests.support.mesh import mesh_running

WORKER = "gateway.relay"
SOAK = [pytest.mark.soak, pytest.mark.timeout(3000)]

pytestmark = pytest.mark.slow


def workers(running):
    """Give the workers that take connections now."""
    port = int(running.address.rpartition(":")[2])
    return {pid for pid in running.pids_of(WORKER) if listens(pid, port)}


async def until_workers(running, count, without, seconds=10.0):
    """Wait until so many workers take connections, an old one not among them; give the seconds it took."""
    begin = time.monotonic()
    while len(found := workers(running)) != count or without in found:
        assert time.monotonic() - begin < seconds, f"{found} instead of {count} workers without {without}"
        await asyncio.sleep(0.01)
    return time.monotonic() - begin


@pytest.mark.parametrize("rounds", [4, pytest.param(100, marks=SOAK)])
async def test_not_one_call_is_lost_when_a_worker_of_two_ends_in_order_under_load(rounds, short_dir):
    async with (
        mesh_running(short_dir, "ffmpeg", workers=2) as running,
        peer_running(running),
        load_running(running.address) as load,
    ):
        for round_ in range(rounds):
            await load.more(50)
            worker = sorted(workers(running))[round_ % 2]
            os.kill(worker, signal.SIGTERM)
            await until_workers(running, 2, worker)
            assert load.failures == [], f"round {round_}"
        await load.more(50)
        assert load.failures == []


class Held:
    """A call over a connection of its own that stays open until its worker ends."""

    def __init__(self, channel):
        self.channel = channel
        self.begun = asyncio.Event()
        self.task = asyncio.create_task(self._hold())

    async def _hold(self):
        call = ModelServiceStub(self.channel).Transform()
        async with BidiCall(call, header("hang", provider="one"), None) as bidi:
            try:
                async for _ in bidi.responses():
                    self.begun.set()
            except AutoMarketError as error:
                return error, time.monotonic()
        raise AssertionError("the call ended well")


async def hold_calls(stack, address, count):
    """Open so many connections with a call on each."""
    held = [Held(await stack.enter_async_context(open_channel(address))) for _ in range(count)]
    for one in held:
        stack.callback(one.task.cancel)
        await asyncio.wait_for(one.begun.wait(), 10)
    return held


@pytest.mark.alone
@pytest.mark.parametrize("meshes", [1, pytest.param(10, marks=SOAK)])
async def test_a_killed_worker_is_back_within_a_second_and_the_other_one_does_not_notice(meshes, short_dir):
    for number in range(meshes):
        (folder := short_dir / str(number)).mkdir()
        async with mesh_running(folder, "ffmpeg", workers=2) as running, peer_running(running):
            took = [await kill_a_worker(running) for _ in range(3)]
        # A second for a machine that has nothing else to do; as many as processes that wait for each core elsewhere.
        limit = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        assert min(took) < limit, f"the workers were back after {took} s"


async def kill_a_worker(running):
    async with AsyncExitStack() as stack:
        held = await hold_calls(stack, running.address, 16)
        worker = min(workers(running))
        killed = time.monotonic()
        os.kill(worker, signal.SIGKILL)
        took = await until_workers(running, 2, worker)

        lost = [one for one in held if one.task.done()]
        kept = [one for one in held if not one.task.done()]
        assert lost, "no connection went to the worker that was killed"
        assert kept, "no connection went to the other worker"
        for error, when in [one.task.result() for one in lost]:
            assert isinstance(error, UnavailableError), error
            assert when - killed < max(1.0, took)
        for one in held:  # those that were lost are connected anew
            await ask(one.channel, "one")
            await echo(one.channel, "one")
        assert not [one for one in kept if one.task.done()]
        return took


async def test_a_mesh_that_stops_finishes_the_calls_under_way_first(short_dir):
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(mesh_running(short_dir, "ffmpeg", workers=2))
        await stack.enter_async_context(peer_running(running))
        channels = [await stack.enter_async_context(open_channel(running.address)) for _ in range(6)]
        for channel in channels:
            await ask(channel, "one")
        calls = [asyncio.create_task(echo(channel, "one", count=20, pause=0.1)) for channel in channels]
        await asyncio.sleep(0.5)
        running.supervisor.send_signal(signal.SIGTERM)
        await asyncio.gather(*calls)
        assert await asyncio.to_thread(running.supervisor.wait, 10) == 0
        for channel in channels:
            with pytest.raises(UnavailableError):
                await ask(channel, "one")
