"""Calls for which there is no place wait in the gateway; instances that keep failing get none."""

from __future__ import annotations

import asyncio
import time

import grpc
import grpc.aio
import pytest

from automarket.errors import ProviderBusy
from automarket.rpc.status import from_rpc_error
from tests.support.gateway import asking, stock_channel, until, until_raw_served
from tests.support.peer import model
from tests.support.raw_peer import GET_MODEL, TRANSFORM

PLACES = 2
BOUNDED = {"max_concurrent_calls": PLACES}


async def hold(channel, count):
    """Begin calls that each keep a place until they are told to end."""
    calls = []
    for _ in range(count):
        call = channel.stream_stream(TRANSFORM)(metadata=asking("echo"), timeout=30)
        await call.write(b"here")
        assert await call.read() == b"here"
        calls.append(call)
    return calls


def ask(channel, timeout=15.0):
    """Ask who answers, as a task."""
    call = channel.unary_unary(GET_MODEL)(b"", metadata=asking("who"), timeout=timeout)
    return asyncio.ensure_future(_answer(call))


async def _answer(call):
    return (await call).decode()


@pytest.fixture
async def channel(here):
    async with here.running(), stock_channel(here.public) as channel:
        yield channel


async def test_calls_beyond_what_a_provider_takes_wait_and_are_served_when_a_place_is_free(here, channel):
    async with here.raw_peer(**BOUNDED):
        await until_raw_served(channel)
        held = await hold(channel, PLACES)
        here.notes.clear()
        waiting = [ask(channel) for _ in range(10)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED), 0.3)
        assert here.notes == [], "none of them is at the provider"
        await held[0].done_writing()
        assert await asyncio.gather(*waiting) == ["raw-1"] * 10
        await held[1].done_writing()
        assert here.notes.count("begun who") == 10


async def test_who_comes_when_the_line_is_full_is_told_to_come_back(here, channel):
    async with here.raw_peer(**BOUNDED):
        await until_raw_served(channel)
        held = await hold(channel, PLACES)
        tasks = [ask(channel) for _ in range(64 + 3)]
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        await until(lambda: sum(task.done() for task in tasks) == 3)
        for task in done:
            error = from_rpc_error(task.exception())
            assert isinstance(error, ProviderBusy)
            assert error.retry_after
        for call in held:
            await call.done_writing()
        left = [task for task in waiting if not task.done() or task.exception() is None]
        assert await asyncio.gather(*left) == ["raw-1"] * 64


async def test_who_comes_when_the_provider_has_a_full_line_of_its_own_is_told_to_come_back_at_once(here, channel):
    lined = {**BOUNDED, "models": [model(limits={"max_concurrent_calls": PLACES, "max_queued_calls": 1})]}
    async with here.raw_peer(**lined):
        await until_raw_served(channel)
        held = await hold(channel, PLACES + 1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(channel)
        error = from_rpc_error(caught.value)
        assert isinstance(error, ProviderBusy)
        assert error.retry_after
        for call in held:
            await call.done_writing()


@pytest.mark.alone
async def test_who_stops_waiting_makes_room(here, channel):
    async with here.raw_peer(**BOUNDED):
        await until_raw_served(channel)
        held = await hold(channel, PLACES)
        begin = time.monotonic()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(channel, timeout=0.3)
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert time.monotonic() - begin < 1
        given_up = [ask(channel) for _ in range(64)]
        await asyncio.wait(given_up, timeout=0.2)
        for task in given_up:
            task.cancel()
        await asyncio.wait(given_up)
        still = [ask(channel) for _ in range(64)]
        await asyncio.wait(still, timeout=0.2)
        for call in held:
            await call.done_writing()
        assert await asyncio.gather(*still) == ["raw-1"] * 64


async def test_who_waits_goes_to_an_instance_that_comes_up(here, channel):
    async with here.raw_peer(**BOUNDED):
        await until_raw_served(channel)
        held = await hold(channel, PLACES)
        waiting = ask(channel)
        await asyncio.wait([waiting], timeout=0.1)
        async with here.raw_peer(instance_id="raw-2", **BOUNDED):
            assert await asyncio.wait_for(waiting, 5) == "raw-2"
        for call in held:
            await call.done_writing()


async def test_who_waits_for_a_provider_that_goes_away_is_told_so(here, channel):
    held = []
    async with here.raw_peer(**BOUNDED):
        await until_raw_served(channel)
        held = await hold(channel, PLACES)
        waiting = ask(channel)
        await asyncio.wait([waiting], timeout=0.1)
        for call in held:
            call.cancel()
        assert await asyncio.wait_for(waiting, 5) == "raw-1"
        held = await hold(channel, PLACES)
        waiting = ask(channel)
        await asyncio.wait([waiting], timeout=0.1)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(waiting, 5)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_an_instance_where_nobody_answers_is_tried_seldom_and_no_call_fails(here, channel, caplog):
    address = here.address("nobody")

    def tries():
        return sum(getattr(record, "address", "") == address for record in caplog.records)

    async with here.raw_peer(), here.registered(address, instance_id="raw-2"):
        await until_raw_served(channel)
        answers = []

        async def until_tried(times):
            while tries() < times:
                answers.append(await ask(channel))

        async with asyncio.timeout(30):
            await until_tried(5)
            begin = time.monotonic()
            await until_tried(6)
            assert time.monotonic() - begin > 0.9, "a second without a call, then one"
            await until_tried(7)
            assert time.monotonic() - begin > 2.8, "two more seconds, then one"
        assert set(answers) == {"raw-1"}
        assert len(answers) > 50
