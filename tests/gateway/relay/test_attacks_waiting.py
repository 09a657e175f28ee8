"""Clients that take their time: limits of seconds, shorter here than in a real gateway."""

from __future__ import annotations

import asyncio
import time

import pytest

from automarket.errors import Code
from tests.support import h2
from tests.support.attacked import opening
from tests.support.h2 import Verdict, raw_client

pytestmark = pytest.mark.slow

LIMITS = {
    "first_headers_seconds": 1.5,
    "first_message_seconds": 1.5,
    "idle_seconds": 3,
    "stalled_reader_seconds": 3,
}
SLACK = 3.0

BEGINNINGS = {
    "nothing": b"",
    "half a preface": h2.PREFACE[:10],
    "a preface alone": h2.PREFACE,
    "a preface and SETTINGS": h2.PREFACE + h2.settings(),
    "half a request": h2.PREFACE + h2.settings() + h2.headers(1, b"\x83", end_headers=False),
    "a frame that does not end": h2.PREFACE + h2.settings() + h2.frame(h2.HEADERS, 4, 1, b"\x83", length=100),
}


@pytest.mark.parametrize("sent", BEGINNINGS.values(), ids=BEGINNINGS)
async def test_a_connection_without_a_first_request_is_closed_in_time(unharmed, sent):
    begin = time.monotonic()
    async with raw_client(unharmed.public, sent, preface=b"", polite=False) as client:
        await client.gone(LIMITS["first_headers_seconds"] + SLACK)
    assert time.monotonic() - begin > LIMITS["first_headers_seconds"] - 0.2


async def _drip(client, whole: bytes, seconds: float) -> None:
    """Send a byte every tenth of a second until the other end has had enough."""
    end = time.monotonic() + seconds
    for byte in whole:
        if time.monotonic() > end or not await client.send(bytes((byte,))):
            return
        await asyncio.sleep(0.1)  # the attack is to be slow


async def test_a_first_request_that_comes_byte_by_byte_is_given_up_in_time(unharmed):
    async with raw_client(unharmed.public) as client:
        await _drip(client, h2.headers(1, h2.block(h2.request())), 10)
        await client.gone(SLACK)


async def test_pings_do_not_stand_for_a_first_request(unharmed):
    async with raw_client(unharmed.public) as client:
        await _drip(client, h2.ping() * 10, 10)
        await client.gone(SLACK)


async def test_a_connection_whose_calls_are_over_is_closed_in_time_and_in_order(unharmed):
    async with raw_client(unharmed.public) as client:
        stream_id = await client.call(h2.request(), opening("echo"), end=True)
        await client.answered(stream_id)
        await client.gone(LIMITS["idle_seconds"] + SLACK)
        assert client.verdict() == Verdict("closed")
        assert client.all_of(h2.GoAwayFrame)


@pytest.mark.parametrize(
    "payload", [b"", b"\0", b"\0\0\0\0\x0a", opening()[:20]], ids=["nothing", "a byte", "a prefix", "half a target"]
)
async def test_half_a_first_message_and_silence_is_answered_in_time(unharmed, payload):
    async with raw_client(unharmed.public) as client:
        stream_id = await client.call(h2.request(), *([payload] if payload else []))
        verdict = await client.judged(stream_id, LIMITS["first_message_seconds"] + SLACK)
        assert verdict.kind == "status"
        assert verdict.code in (Code.INVALID_ARGUMENT, Code.DEADLINE_EXCEEDED)
        other = await client.call(h2.request(), opening("echo"), end=True)
        assert await client.judged(other) == Verdict("status", 0)


async def test_a_first_message_that_comes_byte_by_byte_is_answered_in_time(unharmed):
    async with raw_client(unharmed.public) as client:
        stream_id = await client.call(h2.request())
        dripped = b"".join(h2.data(stream_id, bytes((byte,))) for byte in opening())
        await _drip(client, dripped, 8)
        assert (await client.judged(stream_id, SLACK)).kind == "status"


async def test_a_unary_call_whose_message_never_ends_is_ended(unharmed):
    """grpc.aio alone would wait for ever."""
    async with raw_client(unharmed.public) as client:
        whole = opening("echo")
        unfinished = whole[:1] + (len(whole) + 1000).to_bytes(4, "big") + whole[5:]
        stream_id = await client.call(h2.request(h2.MODELS + "GetModel"), unfinished)
        verdict = await client.judged(stream_id, LIMITS["idle_seconds"] + SLACK)
        assert verdict.kind in ("status", "reset")


async def test_a_reader_that_takes_nothing_is_given_up_in_time_with_little_memory(unharmed):
    """It asks for 4 MiB on each of 16 streams, and never reads its socket."""
    resident = unharmed.mebibytes("gateway")
    reader, writer = await asyncio.open_connection(*unharmed.public.rsplit(":", 1), limit=1024)
    reader._transport.pause_reading()
    first = h2.PREFACE + h2.settings((h2.INITIAL_WINDOW_SIZE, 2**31 - 1)) + h2.window_update(0, 2**31 - 1 - 65535)
    piece = h2.message(_chunk(60_000))
    calls = b"".join(h2.headers(number, h2.block(h2.request())) + h2.data(number, opening("echo")) for number in IDS)
    writer.write(first + calls)
    begin = time.monotonic()
    try:
        with pytest.raises(ConnectionError):
            while time.monotonic() - begin < LIMITS["stalled_reader_seconds"] + 10:
                for number in IDS:
                    for at in range(0, len(piece), 16384):
                        writer.write(h2.data(number, piece[at : at + 16384]))
                async with asyncio.timeout(LIMITS["stalled_reader_seconds"] + 10):
                    await writer.drain()
    finally:
        writer.close()
    assert unharmed.mebibytes("gateway") - resident < 40


IDS = range(1, 33, 2)


def _chunk(size: int) -> bytes:
    from tests.support.gateway import chunk

    return chunk(bytes(size)).SerializeToString()


async def test_a_client_that_gives_no_window_is_given_up_in_time(unharmed):
    """It reads, and never allows a byte of its answers."""
    async with raw_client(unharmed.public, h2.settings((h2.INITIAL_WINDOW_SIZE, 0))) as client:
        stream_id = await client.call(h2.request(), opening("echo"), end=True)
        verdict = await client.judged(stream_id, LIMITS["stalled_reader_seconds"] + SLACK + 2)
        assert verdict.kind in ("reset", "goaway", "closed")
        assert verdict.code in (0, h2.CANCEL, h2.ENHANCE_YOUR_CALM, h2.FLOW_CONTROL_ERROR)


async def test_a_call_with_nothing_to_say_for_a_while_is_left_alone(unharmed):
    """A provider may work for a long time: silence after the whole request is no fault of the client."""
    async with raw_client(unharmed.public) as client:
        stream_id = await client.call(h2.request(), opening("wait"), end=True)
        await client.until(lambda: client.block_of(stream_id), what="the initial metadata")
        await asyncio.sleep(LIMITS["idle_seconds"] + 2)  # nothing may happen for so long
        assert client.verdict(stream_id) is None
