"""Calls that say where they go in their first message alone."""

from __future__ import annotations

import asyncio
import random

import grpc
import grpc.aio
import pytest

from automarket.v1 import model_pb2
from automarket.v1 import model_service_pb2 as pb
from tests.support.gateway import stock_channel, until_raw_served
from tests.support.peer import model
from tests.support.raw_peer import GENERATE, GET_MODEL, TRANSFORM, piece, tally_of

ROUNDS = 25
MIB = 1024 * 1024
NAMES = ("one", "two", "three")
ECHO = (("do", "echo"),)
WHO = (("do", "who"),)


@pytest.fixture
async def three(there):
    """Give a channel to three providers, each with a model of its own."""
    peers = [there.raw_peer(name, models=[model(f"of-{name}")]) for name in NAMES]
    async with there.running(), peers[0], peers[1], peers[2], stock_channel(there.public) as channel:
        for name in NAMES:
            await until_raw_served(channel, provider=name)
        yield channel


def first(size=0, **target):
    """Make a first message whose target comes first, and of which the rest is somebody else's."""
    message = pb.GetModelRequest(target=model_pb2.Target(**(target or {"provider": "one"}))).SerializeToString()
    return message + b"\x7a" + _varint(size) + piece(size, size)


def _varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


@pytest.mark.parametrize("encoding", [grpc.Compression.NoCompression, grpc.Compression.Gzip], ids=lambda one: one.name)
@pytest.mark.parametrize("size", [0, 1, 16_000, 16_384, 70_000, 3 * MIB])
async def test_calls_of_every_kind_find_their_provider(three, size, encoding):
    for number in range(ROUNDS if size < MIB else 3):
        name = NAMES[number % 3]
        target = {"provider": name} if number % 2 else {"model": f"of-{name}"}
        sent = first(size, **target)
        more = [sent, piece(1, 20_000), b""]
        given = {"compression": encoding}
        assert await three.unary_unary(GET_MODEL)(sent, metadata=WHO, **given) == f"{name}-1".encode()
        assert [one async for one in three.unary_stream(GENERATE)(sent, metadata=ECHO, **given)] == [sent]
        assert await three.stream_unary(TRANSFORM)(iter(more), metadata=(("do", "sink"),), **given) == tally_of(more)
        assert [one async for one in three.stream_stream(TRANSFORM)(iter(more), metadata=ECHO, **given)] == more


async def test_initial_metadata_comes_once_the_first_message_is_there(three):
    for _ in range(ROUNDS):
        call = three.stream_stream(TRANSFORM)(metadata=ECHO)
        waiting = asyncio.create_task(call.initial_metadata())
        done, _ = await asyncio.wait([waiting], timeout=0.01)
        assert not done
        await call.write(first(provider="two"))
        assert dict(await asyncio.wait_for(waiting, 1))["peer"] == "two-1"
        call.cancel()


async def test_a_call_waits_for_a_first_message_and_the_next_ones_do_not(three):
    waiting = three.stream_stream(TRANSFORM)(metadata=ECHO)
    for number in range(ROUNDS):
        name = NAMES[number % 3]
        assert await three.unary_unary(GET_MODEL)(first(provider=name), metadata=WHO) == f"{name}-1".encode()
    sent = first(provider="three")
    await waiting.write(sent)
    assert await waiting.read() == sent
    waiting.cancel()


async def test_one_connection_carries_calls_to_all_of_them_at_once(three):
    async def one(number):
        sizes = random.Random(number)
        name = NAMES[number % 3]
        sent = [first(sizes.choice([0, 100, 50_000, 400_000]), provider=name), *[piece(number, 30_000)] * 5]
        call = three.stream_stream(TRANSFORM)(iter(sent), metadata=ECHO)
        return [message async for message in call] == sent and dict(await call.initial_metadata())[
            "peer"
        ] == f"{name}-1"

    for _ in range(3):
        assert all(await asyncio.gather(*(one(number) for number in range(90))))


async def test_a_deadline_counts_while_the_first_message_is_awaited(three):
    for _ in range(ROUNDS):
        call = three.stream_stream(TRANSFORM)(metadata=ECHO, timeout=0.05)
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
