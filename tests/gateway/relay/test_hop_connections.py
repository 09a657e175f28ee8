"""Many calls on one connection, many connections, and many providers behind one."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.gateway import asking, stock_channel, until, until_raw_served
from tests.support.peer import model
from tests.support.raw_peer import GENERATE, GET_MODEL, TRANSFORM, tally_of


def descriptors():
    """Count what this process, which is all of client, gateway and provider, holds open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.slow
@pytest.mark.parametrize("count", [2000, pytest.param(10_000, marks=pytest.mark.soak)])
async def test_thousands_of_calls_one_after_another_on_one_connection(hop, count):
    call = hop.unary_unary(GET_MODEL)
    for number in range(count):
        sent = str(number).encode()
        assert await call(sent, metadata=asking()) == sent


async def test_two_hundred_connections_that_open_and_close_leave_nothing_behind(hop, there):
    async def one(number):
        async with stock_channel(there.public) as channel:
            sent = str(number).encode() * 1000
            assert await channel.unary_unary(GET_MODEL)(sent, metadata=asking()) == sent

    for number in range(20):
        await one(number)
    before = descriptors()
    for number in range(200):
        await one(number)
    await asyncio.gather(*(one(number) for number in range(200)))
    # Connections to the provider that wait for the next call are kept, but never more than 32.
    await until(lambda: descriptors() <= before + 2 * 32 + 8, 10, f"{before} descriptors before, {descriptors()} now")


async def test_calls_to_twenty_providers_share_one_connection(there):
    names = [f"p{number}" for number in range(20)]
    async with AsyncExitStack() as running:
        await running.enter_async_context(there.running())
        for name in names:
            await running.enter_async_context(there.raw_peer(name, models=[model(f"of-{name}")]))
        channel = await running.enter_async_context(stock_channel(there.public))
        for name in names:
            await until_raw_served(channel, provider=name)

        async def one(number):
            name = names[number % len(names)]
            target = {"provider": name} if number % 2 else {"model": f"of-{name}"}
            call = channel.unary_unary(GET_MODEL)
            assert await call(b"", metadata=asking("who", **target)) == f"{name}-1".encode()
            stream = channel.stream_unary(TRANSFORM)
            sent = [os.urandom(number * 100) for _ in range(5)]
            assert await stream(iter(sent), metadata=asking("sink", **target)) == tally_of(sent)

        for _ in range(5):
            await asyncio.gather(*(one(number) for number in range(100)))


@pytest.mark.parametrize("size", [10, 100_000])
async def test_a_thousand_calls_at_once_are_all_answered(hop, size):
    async def one(number):
        sent = number.to_bytes(4, "big") * (size // 4)
        return [message async for message in hop.unary_stream(GENERATE)(sent, metadata=asking())] == [sent]

    for first in range(0, 1000, 250):
        assert all(await asyncio.gather(*(one(number) for number in range(first, first + 250))))
