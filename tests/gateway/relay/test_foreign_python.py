"""grpcio's client on threads, as most Python programs use it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import pytest_asyncio

from tests.support.foreign import one_peer
from tests.support.gateway import asking
from tests.support.raw_peer import GENERATE, GET_MODEL, TRANSFORM, WIDE, piece, tally_of

pytestmark = pytest.mark.slow

ROUNDS = 25
MIB = 1024 * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(module_dir):
    async with one_peer(module_dir, "raw") as running:
        yield running


@pytest.fixture
def blocking(mesh):
    """Give what runs a function with a blocking channel in a thread, and waits for it beside the event loop."""

    async def run(work):
        def inside():
            with grpc.insecure_channel(mesh.public, options=WIDE) as channel:
                return work(channel)

        return await asyncio.to_thread(inside)

    return run


async def test_calls_of_all_kinds(blocking):
    sent = [os.urandom(size) for size in (0, 1, 16_384, MIB)]

    def work(channel):
        for _ in range(ROUNDS):
            for one in sent:
                assert channel.unary_unary(GET_MODEL)(one, metadata=asking()) == one
            assert list(channel.unary_stream(GENERATE)(sent[2], metadata=asking())) == [sent[2]]
            assert channel.stream_unary(TRANSFORM)(iter(sent), metadata=asking("sink")) == tally_of(sent)
            assert list(channel.stream_stream(TRANSFORM)(iter(sent), metadata=asking())) == sent

    await blocking(work)


async def test_metadata_status_and_trailers(blocking):
    pairs = (("x-key", "one"), ("x-key", "two"), ("x-key-bin", b"\x00\xff"))

    def ours(metadata):
        return [(key, value) for key, value in metadata if key.startswith("x-")]

    def work(channel):
        for _ in range(ROUNDS):
            _, call = channel.unary_unary(GET_MODEL).with_call(b"", metadata=asking("reflect", *pairs))
            assert ours(call.initial_metadata()) == ours(call.trailing_metadata()) == list(pairs)
            asked = asking("status", ("code", "ABORTED"), ("message-bin", "größer".encode()))
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(GET_MODEL)(b"", metadata=asked)
            assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.ABORTED, "größer")

    await blocking(work)


async def test_ping_and_pong_between_threads(blocking):
    def work(channel):
        turn = threading.Semaphore(1)

        def requests():
            for number in range(1000):
                turn.acquire()
                yield number.to_bytes(4, "big")

        got = []
        for message in channel.stream_stream(TRANSFORM)(requests(), metadata=asking()):
            got.append(int.from_bytes(message, "big"))
            turn.release()
        assert got == list(range(1000))

    await blocking(work)


@pytest.mark.alone
async def test_deadlines_and_cancels(blocking):
    def work(channel):
        for _ in range(ROUNDS):
            begin = time.monotonic()
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(GET_MODEL)(b"", metadata=asking("wait"), timeout=0.1)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert time.monotonic() - begin < 1
            call = channel.unary_stream(GENERATE)(b"", metadata=asking("hang"))
            assert next(call) == b"begun"
            call.cancel()
            with contextlib.suppress(grpc.RpcError):
                next(call)
            assert call.code() is grpc.StatusCode.CANCELLED

    await blocking(work)


@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip], ids=lambda one: one.name
)
async def test_many_threads_share_a_channel(blocking, compression):
    def work(channel):
        def one(number):
            sent = [piece(number, number * 1000), piece(number, 100)]
            call = channel.stream_stream(TRANSFORM)(iter(sent), metadata=asking(), compression=compression)
            return list(call) == sent

        with ThreadPoolExecutor(16) as threads:
            assert all(threads.map(one, range(400)))

    await blocking(work)


async def test_a_channel_is_used_again_after_the_gateway_came_back(blocking, mesh):
    def work(channel):
        call = channel.unary_unary(GET_MODEL)
        assert call(b"one", metadata=asking()) == b"one"
        mesh.kill("gateway")
        mesh.start_gateway()
        assert call(b"two", metadata=asking(), wait_for_ready=True, timeout=20) == b"two"

    await blocking(work)
