"""Whoever does not read holds back whoever sends to it; the gateway's memory stays, and everything goes on after."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from automarket.rpc.streams import EOF
from tests.support.gateway import Processes, asking, stock_channel, until_raw_served
from tests.support.raw_peer import TRANSFORM, Tally, piece, tally_of

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
COUNT = 64
# What one stream may have on its way: windows of client and provider, and what sockets and the gateway hold.
ON_THE_WAY = 24
# A gateway queues 12 MiB for one connection at most; a stream's share is its window.
QUEUED_MIB = 16


@pytest.fixture(params=["unix", "tcp"])
def mesh(request, short_dir):
    running = Processes(short_dir, tcp=request.param == "tcp")
    running.start_control(settle_seconds=0)
    running.start_gateway()
    running.start_raw_peer("raw")
    yield running
    running.close()


@contextlib.asynccontextmanager
async def channel_of(mesh):
    # A client that does not read must not hold more than the usual window of a stream.
    async with stock_channel(mesh.public, ("grpc.http2.bdp_probe", 0)) as channel:
        await until_raw_served(channel)
        # A first call through it: what the process needs anyhow is there.
        pieces = [piece(number, MIB) for number in range(8)]
        assert await channel.stream_unary(TRANSFORM)(iter(pieces), metadata=asking("sink")) == tally_of(pieces)
        yield channel


def written(mesh):
    """Give how many messages the provider has handed to gRPC."""
    return sum(words.startswith("wrote") for _, words in mesh.notes("raw-1"))


async def still(count):
    """Wait until a count stays as it is for a second; give it."""
    while True:
        before = count()
        await asyncio.sleep(1)
        if count() == before:
            return before


async def test_a_reader_that_takes_nothing_holds_the_provider_back_and_then_gets_everything(mesh):
    async with channel_of(mesh) as channel:
        for _ in range(3):
            done = written(mesh)
            before = mesh.mebibytes("gateway")
            metadata = asking("flood", ("count", str(COUNT)), ("size", str(MIB)))
            call = channel.stream_stream(TRANSFORM)(metadata=metadata)
            await call.done_writing()
            await call.initial_metadata()
            assert await still(lambda: written(mesh)) - done < ON_THE_WAY
            assert mesh.peak_mebibytes("gateway") - before < QUEUED_MIB
            for number in range(COUNT):
                assert await call.read() == piece(number, MIB)
            assert await call.read() is EOF


async def test_a_provider_that_does_not_read_holds_the_caller_back_and_then_gets_everything(mesh):
    async with channel_of(mesh) as channel:
        before = mesh.mebibytes("gateway")
        call = channel.stream_stream(TRANSFORM)(metadata=asking("deaf"))
        sent = 0

        async def send():
            nonlocal sent
            for number in range(COUNT):
                await call.write(piece(number, MIB))
                sent += 1
            await call.done_writing()

        assert await call.read() == b"begun"
        sending = asyncio.create_task(send())
        assert await still(lambda: sent) < ON_THE_WAY
        assert mesh.peak_mebibytes("gateway") - before < QUEUED_MIB
        assert await channel.unary_unary("/automarket.v1.ModelService/GetModel")(b"", metadata=asking("release"))
        assert await call.read() == tally_of(piece(number, MIB) for number in range(COUNT))
        await sending


async def test_forty_readers_that_take_nothing_cost_no_more_than_the_bound_of_their_connection(mesh):
    async with channel_of(mesh) as channel:
        before = mesh.mebibytes("gateway")
        metadata = asking("flood", ("count", "8"), ("size", str(MIB)))
        calls = [channel.stream_stream(TRANSFORM)(metadata=metadata) for _ in range(40)]
        for call in calls:
            await call.done_writing()
            await call.initial_metadata()
        await still(lambda: written(mesh))
        # 12 MiB for the connection, and the buffers of the forty connections to the provider's side.
        assert mesh.peak_mebibytes("gateway") - before < 40
        for call in calls:
            tally = Tally()
            while (message := await call.read()) is not EOF:
                tally.add(message)
            assert tally.words() == tally_of(piece(number, MIB) for number in range(8))
