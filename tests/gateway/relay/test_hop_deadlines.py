"""A deadline shrinks on the way, is never longer behind the gateway, and ends the call on time."""

from __future__ import annotations

import asyncio
import time

import grpc
import grpc.aio
import pytest

from tests.support.gateway import asking, until
from tests.support.raw_peer import GENERATE, GET_MODEL, TRANSFORM

ROUNDS = 25


@pytest.mark.alone
@pytest.mark.parametrize("seconds", [0.25, 1.0, 3.3, 59.9, 100.0, 4000.0, 1_000_000.0])
async def test_the_provider_has_nearly_all_of_the_time_and_never_more_than_was_sent(hop, seconds):
    for _ in range(ROUNDS):
        begin = time.monotonic()
        left = float(await hop.unary_unary(GET_MODEL)(b"", metadata=asking("time"), timeout=seconds))
        took = time.monotonic() - begin
        # gRPC itself rounds up what it sends by at most 1 %.
        assert seconds * 0.95 - took - 0.1 < left < seconds * 1.01


async def test_a_call_without_a_deadline_has_none_behind_either(hop):
    for _ in range(ROUNDS):
        assert await hop.unary_unary(GET_MODEL)(b"", metadata=asking("time")) == b"None"


@pytest.mark.alone
@pytest.mark.parametrize("do", ["hang", "wait"])
async def test_a_deadline_ends_a_stream_at_both_ends(hop, there, do):
    for _ in range(ROUNDS):
        there.notes.clear()
        begin = time.monotonic()
        call = hop.stream_stream(TRANSFORM)(metadata=asking(do), timeout=0.2)
        await call.write(b"")
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert 0.15 < time.monotonic() - begin < 0.7
        await until(lambda: len(there.notes) == 2, 0.5)


@pytest.mark.alone
@pytest.mark.parametrize(("method", "kind"), [(GENERATE, "unary_stream"), (GET_MODEL, "unary_unary")])
async def test_a_deadline_ends_calls_with_one_request(hop, method, kind):
    for _ in range(ROUNDS):
        begin = time.monotonic()
        call = getattr(hop, kind)(method)(b"", metadata=asking("wait"), timeout=0.1)
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert time.monotonic() - begin < 0.6


@pytest.mark.alone
async def test_many_deadlines_at_once_all_hold(hop, there):
    async def one(number):
        limit = 0.2 + number % 10 * 0.05
        begin = time.monotonic()
        call = hop.unary_unary(GET_MODEL)(b"", metadata=asking("wait"), timeout=limit)
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        return time.monotonic() - begin - limit

    late = await asyncio.gather(*(one(number) for number in range(200)))
    assert max(late) < 1
    # Those that wait for longer than they have are not sent on.
    assert len(there.notes) > 40
    await until(lambda: len(there.notes) == 2 * there.notes.count("begun wait"), 2)


async def test_a_deadline_that_is_over_when_the_call_arrives_ends_it_at_once(hop):
    for _ in range(ROUNDS):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await hop.unary_unary(GET_MODEL)(b"", metadata=asking("wait"), timeout=0.000_001)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
