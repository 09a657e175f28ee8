"""Frames that cost their sender little, in numbers that nobody sends in good faith."""

from __future__ import annotations

import asyncio
import struct
import time

import pytest

from tests.support import h2
from tests.support.attacked import opening
from tests.support.h2 import Verdict, raw_client

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

CALM = Verdict("goaway", h2.ENHANCE_YOUR_CALM)
REQUEST = h2.block(h2.request())
OPEN = h2.headers(1, REQUEST)

FLOODS = {
    "SETTINGS": h2.settings(),
    "acknowledgements of SETTINGS": h2.frame(h2.SETTINGS, h2.ACK, 0),
    "SETTINGS that change windows": h2.settings((h2.INITIAL_WINDOW_SIZE, 1)) + h2.settings((h2.INITIAL_WINDOW_SIZE, 2)),
    "PING": h2.ping(),
    "answers to a PING that nobody sent": h2.frame(h2.PING, h2.ACK, 0, bytes(8)),
    "PRIORITY": h2.frame(h2.PRIORITY, 0, 1, bytes(4) + b"\x10"),
    "PRIORITY of idle streams": h2.frame(h2.PRIORITY, 0, 99, bytes(4) + b"\x10"),
    "empty DATA": h2.data(1, b""),
    "DATA of padding alone": h2.padded(h2.DATA, 0, 1, b"", 1),
    "frames of an unknown type": h2.frame(0x42, 0, 0),
    "GOAWAY": h2.goaway(0),
    "RST_STREAM of a stream that is over": h2.reset(1),
}


@pytest.mark.parametrize("frame", FLOODS.values(), ids=FLOODS)
async def test_too_many_control_or_empty_frames_end_their_connection(unharmed, frame):
    async with raw_client(unharmed.public) as client:
        await client.send(OPEN, h2.data(1, opening("hang")))
        await client.sync()
        await client.send(frame * 1100)
        assert await client.judged(None) == CALM


@pytest.mark.parametrize("frame", FLOODS.values(), ids=FLOODS)
async def test_a_flood_of_control_or_empty_frames_is_hung_up_on(unharmed, frame):
    async with raw_client(unharmed.public) as client:
        await client.send(OPEN, h2.data(1, opening("hang")))
        await _flood(client, frame * 1000, 100)


async def _flood(client, piece: bytes, times: int) -> None:
    """Send for as long as the other end takes it; what it says at the end may be lost in the flood."""
    for _ in range(times):
        if not await client.send(piece):
            break
    assert await client.judged(None) in (CALM, Verdict("closed"))


async def test_a_flood_of_pings_whose_answers_are_not_read_ends_its_connection(unharmed):
    _reader, writer = await asyncio.open_connection(*unharmed.public.rsplit(":", 1), limit=1024)
    writer.write(h2.PREFACE + h2.settings() + h2.ping() * 100_000)
    try:
        async with asyncio.timeout(10):
            with pytest.raises(ConnectionError):
                while True:
                    writer.write(h2.ping() * 1000)
                    await writer.drain()
    finally:
        writer.close()


async def test_a_thousand_control_frames_are_no_flood(unharmed):
    async with raw_client(unharmed.public) as client:
        await client.send(h2.ping() * 900)
        await client.sync()
        assert client.verdict() is None


async def _resetting(client, made) -> None:
    for _ in range(300):
        stream_id = client.next_id()
        if not await client.send(made(stream_id), h2.reset(stream_id)):
            return


REQUESTS = {
    "a request without its message": lambda stream_id: h2.headers(stream_id, REQUEST),
    "a whole request": lambda stream_id: h2.headers(stream_id, REQUEST) + h2.data(stream_id, opening("echo"), end=True),
    "a request that names its provider": lambda stream_id: h2.headers(
        stream_id, h2.block(h2.request(h2.MODELS + "Transform", (b"automarket-provider", b"near")))
    ),
    "a request that nobody answers": lambda stream_id: h2.headers(
        stream_id, h2.block(h2.request("/automarket.v1.NoService/Nothing"))
    ),
}


@pytest.mark.parametrize("made", REQUESTS.values(), ids=REQUESTS)
async def test_rapid_resets_end_their_connection(unharmed, made):
    async with raw_client(unharmed.public) as client:
        await _resetting(client, made)
        assert await client.judged(None) == CALM


async def test_rapid_resets_over_many_connections_cost_other_callers_nothing(unharmed):
    """What grpc.aio servers cannot bear: resets on one connection cancel calls of others."""
    for _ in range(5):
        async with raw_client(unharmed.public) as client:
            for _ in range(90):
                stream_id = client.next_id()
                await client.send(h2.headers(stream_id, REQUEST), h2.data(stream_id, opening("hang")))
                client.write(h2.reset(stream_id))
            await client.sync()
            assert client.verdict() is None


async def test_streams_that_the_gateway_is_made_to_reset_count_like_those_that_the_client_resets(unharmed):
    """The same attack with the roles changed: each request is followed by a fault, so that the gateway resets it."""
    async with raw_client(unharmed.public) as client:
        for _ in range(1500):
            stream_id = client.next_id()
            request = h2.headers(stream_id, REQUEST) + h2.data(stream_id, opening("hang"))
            if not await client.send(request, h2.window_update(stream_id, 0)):
                break
        assert await client.judged(None) == CALM


async def test_continuations_without_end_stop_early(unharmed):
    async with raw_client(unharmed.public) as client:
        await client.send(h2.headers(1, REQUEST, end_headers=False))
        await _flood(client, h2.frame(h2.CONTINUATION, 0, 1, h2.literal(b"x", b"y" * 1000) * 16), 1000)


@pytest.mark.parametrize("piece", [b"", b"\x00"], ids=["empty", "one byte long"])
async def test_tiny_continuations_without_end_stop_early(unharmed, piece):
    async with raw_client(unharmed.public) as client:
        await client.send(h2.headers(1, REQUEST, end_headers=False))
        await client.send(h2.frame(h2.CONTINUATION, 0, 1, piece) * 10000)
        assert await client.judged(None) == CALM


async def test_header_blocks_of_nothing_are_reset_and_end_their_connection_in_numbers(unharmed):
    async with raw_client(unharmed.public) as client:
        for _ in range(1500):
            if not await client.send(h2.headers(client.next_id(), b"")):
                break
        assert await client.judged(None) == CALM


async def test_streams_above_the_limit_end_their_connection_in_numbers(unharmed):
    async with raw_client(unharmed.public) as client:
        for _ in range(3000):
            if not await client.send(h2.headers(client.next_id(), REQUEST)):
                break
        assert await client.judged(None) == CALM


async def _fill(client, streams: int) -> list[int]:
    """Open streams that wait for the rest of their first messages."""
    ids = [client.next_id() for _ in range(streams)]
    await client.send(*(h2.headers(stream_id, REQUEST) + h2.data(stream_id, b"\0\0") for stream_id in ids))
    await client.sync()
    return ids


async def test_window_updates_of_one_byte_in_great_numbers_cost_nobody_else_a_call(unharmed):
    async with raw_client(unharmed.public) as client:
        ids = await _fill(client, 900)
        for number in range(100):
            if not await client.send((h2.window_update(0, 1) + h2.window_update(ids[number], 1)) * 1000):
                break
        assert client.verdict() in (None, CALM)


async def _blocked(client, streams: int) -> None:
    """Open streams whose answers wait for a window that is never opened."""
    await client.send(h2.settings((h2.INITIAL_WINDOW_SIZE, 0)))
    await client.sync()
    for _ in range(streams):
        await client.call(h2.request(), opening("hang"), end=True)
    await client.until(lambda: len(client.blocks) >= streams, 60, "the initial metadata of all")


async def test_settings_of_thousands_of_values_with_many_streams_open_do_not_stop_the_gateway(unharmed):
    """One frame of 16 KiB changes every stream's window 2,730 times if all values are taken at their word."""
    async with raw_client(unharmed.public) as client:
        await _fill(client, 900)
        values = b"".join(struct.pack("!HI", h2.INITIAL_WINDOW_SIZE, number % 2) for number in range(2730))
        before = unharmed.processor_seconds()
        begin = time.monotonic()
        await client.send(h2.frame(h2.SETTINGS, 0, 0, values) * 20)
        await client.sync()
        assert unharmed.processor_seconds() - before < 1 + (time.monotonic() - begin) / 2
        assert time.monotonic() - begin < 5


async def test_window_updates_of_a_connection_whose_streams_are_all_shut_do_not_stop_the_gateway(unharmed):
    async with raw_client(unharmed.public) as client:
        await _blocked(client, 300)
        before = unharmed.processor_seconds()
        begin = time.monotonic()
        await client.send(h2.window_update(0, 1) * 20_000)
        if not client.is_closed:
            await client.sync()
        assert unharmed.processor_seconds() - before < 1 + (time.monotonic() - begin) / 2
        assert time.monotonic() - begin < 5


async def test_the_gateway_is_idle_again_after_all_of_this_and_holds_nothing_of_it(attacked):
    await asyncio.to_thread(attacked.load.wait, 8)
    with_load = attacked.descriptors()
    async with raw_client(attacked.public) as client:
        await client.send(OPEN, h2.data(1, opening("hang")))
        await client.sync()
    attacked.load.stop()
    await attacked.until_idle()
    assert attacked.descriptors() <= with_load
    attacked.load = None
