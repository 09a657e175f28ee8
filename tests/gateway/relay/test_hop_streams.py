"""Messages of every size and in every pattern arrive whole, in order, and at once."""

from __future__ import annotations

import asyncio
import hashlib
import random

import grpc
import pytest

from automarket.rpc.streams import EOF
from tests.support.gateway import asking
from tests.support.raw_peer import GENERATE, GET_MODEL, TRANSFORM, piece, tally_of

ROUNDS = 25
MIB = 1024 * 1024
SIZES = [0, 1, 100, 16_378, 16_379, 16_380, 16_383, 16_384, 16_385, 65_530, 65_535, 65_536, MIB, 3 * MIB]


@pytest.mark.parametrize("size", SIZES)
async def test_a_message_of_any_size_passes_in_calls_of_every_kind(hop, size):
    sent = piece(size, size)
    for _ in range(ROUNDS if size < MIB else 5):
        assert await hop.unary_unary(GET_MODEL)(sent, metadata=asking()) == sent
        assert [message async for message in hop.unary_stream(GENERATE)(sent, metadata=asking())] == [sent]
        assert await hop.stream_unary(TRANSFORM)(iter([sent, sent]), metadata=asking("sink")) == tally_of([sent, sent])
        both = hop.stream_stream(TRANSFORM)(iter([sent, b"", sent]), metadata=asking())
        assert [message async for message in both] == [sent, b"", sent]


@pytest.mark.slow
@pytest.mark.parametrize("count", [2000, pytest.param(10_000, marks=pytest.mark.soak)])
async def test_thousands_of_turns_of_ping_and_pong(hop, count):
    call = hop.stream_stream(TRANSFORM)(metadata=asking())
    for number in range(count):
        sent = number.to_bytes(4, "big")
        await call.write(sent)
        assert await call.read() == sent
    await call.done_writing()
    assert await call.read() is EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_both_ways_flow_at_once_and_neither_waits_for_the_other(hop):
    for number in range(ROUNDS):
        sizes = random.Random(number)
        sent = [piece(index, sizes.choice([1, 40, 5_000, 70_000, 300_000])) for index in range(60)]
        call = hop.stream_stream(TRANSFORM)(iter(sent), metadata=asking())
        assert [message async for message in call] == sent


async def test_the_end_of_the_requests_leaves_the_answers_alone(hop):
    for _ in range(ROUNDS):
        call = hop.stream_stream(TRANSFORM)(metadata=asking("sink"))
        await call.initial_metadata()
        reading = asyncio.create_task(call.read())
        await call.write(b"one")
        done, _ = await asyncio.wait([reading], timeout=0.01)
        assert not done
        await call.done_writing()
        assert await asyncio.wait_for(reading, 2) == tally_of([b"one"])
        assert await call.code() is grpc.StatusCode.OK


async def test_a_call_without_a_request_ends_well(hop):
    for _ in range(ROUNDS):
        call = hop.stream_stream(TRANSFORM)(metadata=asking("sink"))
        await call.done_writing()
        assert await call.read() == tally_of([])
        assert await call.read() is EOF


async def test_initial_metadata_comes_before_the_first_message_of_either_end(hop):
    for _ in range(ROUNDS):
        call = hop.stream_stream(TRANSFORM)(metadata=asking())
        assert dict(await asyncio.wait_for(call.initial_metadata(), 1))["peer"] == "raw-1"
        call.cancel()


@pytest.mark.parametrize("rounds", [2, pytest.param(ROUNDS, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
async def test_64_streams_of_mixed_sizes_at_once_keep_every_byte(hop, rounds):
    async def one(seed):
        sizes = random.Random(seed)
        call = hop.stream_stream(TRANSFORM)(metadata=asking())
        sent, got = hashlib.sha256(), hashlib.sha256()

        async def send():
            for index in range(40):
                data = piece(seed * 100 + index, sizes.choice([0, 1, 40, 1_000, 16_384, 20_000, 100_000, 400_000]))
                sent.update(data)
                await call.write(data)
            await call.done_writing()

        sending = asyncio.create_task(send())
        while (message := await call.read()) is not EOF:
            got.update(message)
        await sending
        return sent.digest() == got.digest()

    for number in range(rounds):
        assert all(await asyncio.gather(*(one(number * 64 + index) for index in range(64))))
