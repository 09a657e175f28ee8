"""Envoy in front of the gateway, with its limits as they are by default."""

from __future__ import annotations

import asyncio
import os

import grpc
import grpc.aio
import pytest
import pytest_asyncio

from automarket.rpc.streams import EOF
from tests.support.foreign import WORDS, body, envoy_before, one_peer, run
from tests.support.gateway import asking, stock_channel, until
from tests.support.raw_peer import DETAILS, GENERATE, GET_MODEL, TRANSFORM, piece, tally_of
from tests.support.require import require

pytestmark = pytest.mark.slow

ROUNDS = 25
MIB = 1024 * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(module_dir):
    require("envoy")
    async with one_peer(module_dir, "raw") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def envoy(mesh):
    async with envoy_before(mesh.public, mesh.folder) as address:
        yield address


@pytest.fixture
async def channel(envoy):
    async with stock_channel(envoy) as through:
        yield through


async def test_calls_of_all_kinds(channel):
    sent = [os.urandom(size) for size in (0, 1, 16_384, 65_536, MIB)]
    for _ in range(ROUNDS):
        for one in sent:
            assert await channel.unary_unary(GET_MODEL)(one, metadata=asking()) == one
        assert [message async for message in channel.unary_stream(GENERATE)(sent[2], metadata=asking())] == [sent[2]]
        assert await channel.stream_unary(TRANSFORM)(iter(sent), metadata=asking("sink")) == tally_of(sent)
        assert [one async for one in channel.stream_stream(TRANSFORM)(iter(sent), metadata=asking())] == sent


async def test_metadata_trailers_status_and_details(channel):
    pairs = [("x-key-bin", bytes(range(256))), ("x-word", "a value, with a comma")]
    for _ in range(ROUNDS):
        call = channel.unary_unary(GET_MODEL)(b"", metadata=asking("reflect", *pairs))
        await call
        for metadata in (await call.initial_metadata(), await call.trailing_metadata()):
            assert sorted((key, value) for key, value in metadata if key in dict(pairs)) == pairs
        asked = (("code", "DATA_LOSS"), ("message-bin", "größer".encode()), ("status-details-bin", b"\x00details"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(GET_MODEL)(b"", metadata=asking("status", *asked))
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.DATA_LOSS, "größer")
        assert dict(caught.value.trailing_metadata())[DETAILS] == b"\x00details"


async def test_full_duplex(channel):
    call = channel.stream_stream(TRANSFORM)(metadata=asking())
    for number in range(2000):
        sent = number.to_bytes(4, "big")
        await call.write(sent)
        assert await call.read() == sent
    await call.done_writing()
    assert await call.read() is EOF


async def test_deadlines_and_cancels_reach_the_provider(channel, mesh):
    before = _ended(mesh)
    for number in range(ROUNDS):
        call = channel.stream_stream(TRANSFORM)(metadata=asking("hang"), timeout=0.2 if number % 2 else None)
        assert await call.read() == b"begun"
        if number % 2:
            assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        else:
            call.cancel()
        ended = [words for _, words in mesh.notes("one-1") if words.endswith("Error hang")]
        await until(lambda ended=ended, number=number: _ended(mesh) == before + number + 1, 1, str(ended))


def _ended(mesh):
    return sum(words in ("CancelledError hang", "GeneratorExit hang") for _, words in mesh.notes("one-1"))


async def test_many_streams_at_once_share_what_envoy_opens(channel):
    async def one(number):
        sent = [piece(number, size) for size in (1, 20_000, 300_000, 0)]
        call = channel.stream_stream(TRANSFORM)(iter(sent), metadata=asking())
        return [message async for message in call] == sent

    for _ in range(5):
        assert all(await asyncio.gather(*(one(number) for number in range(64))))


async def test_a_large_file_goes_up_and_down(channel):
    pieces = [piece(number, MIB) for number in range(64)]
    assert await channel.stream_unary(TRANSFORM)(iter(pieces), metadata=asking("sink")) == tally_of(pieces)
    metadata = asking("flood", ("count", "64"), ("size", str(MIB)))
    got = [message async for message in channel.unary_stream(GENERATE)(b"", metadata=metadata)]
    assert got == pieces


async def test_a_gateway_that_drains_loses_no_call_of_envoy(short_dir):
    require("envoy", "h2load")
    async with one_peer(short_dir) as mesh, envoy_before(mesh.public, mesh.folder) as address:
        path = body(mesh.folder, WORDS.SerializeToString())
        headers = ("-H", "content-type: application/grpc", "-H", "te: trailers")
        for _ in range(3):
            done = await run(
                "h2load", "-n", 500, "-c", 4, "-m", 16, "-d", path, *headers, f"http://{address}{GET_MODEL}"
            )
            assert "500 succeeded, 0 failed" in done.out, done.out
            assert mesh.stop("gateway") == 0
            mesh.start_gateway()
            await until_answered(address)


async def until_answered(address):
    """Wait until calls are answered again: the gateway has the routing table, and Envoy a connection to it."""
    async with stock_channel(address) as channel:
        while True:
            try:
                await channel.unary_unary(GET_MODEL)(WORDS.SerializeToString(), timeout=5)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.05)
            else:
                return
