"""Frames that RFC 9113 forbids: each ends its connection or its stream with the code that the RFC names."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.support import h2
from tests.support.attacked import opening
from tests.support.h2 import Verdict, raw_client

pytestmark = pytest.mark.slow

PROTOCOL, FRAME_SIZE, FLOW_CONTROL = h2.PROTOCOL_ERROR, h2.FRAME_SIZE_ERROR, h2.FLOW_CONTROL_ERROR
REQUEST = h2.block(h2.request())
OPEN = h2.headers(1, REQUEST)
UPLOADING = OPEN + h2.data(1, opening())
CLOSED = OPEN + h2.reset(1)
HALF_CLOSED = OPEN + h2.data(1, opening(), end=True)
UNKNOWN = 0x42


@dataclass(frozen=True, slots=True)
class Fault:
    """What is sent after the handshake, and the code of the GOAWAY that answers it."""

    sent: bytes
    code: int


def size(kind: int, length: int, stream_id: int = 0, before: bytes = b"") -> Fault:
    return Fault(before + h2.frame(kind, 0, stream_id, bytes(length)), FRAME_SIZE)


def on_stream(kind: int, payload: bytes, stream_id: int, before: bytes = b"") -> Fault:
    return Fault(before + h2.frame(kind, 0, stream_id, payload), PROTOCOL)


PIECE = h2.headers(1, REQUEST, end_headers=False)
END_OF_PIECE = h2.frame(h2.CONTINUATION, h2.END_HEADERS, 1)

CONNECTION_FAULTS = {
    "a DATA frame of over 16,384 bytes": size(h2.DATA, 16385, 1, OPEN),
    "a HEADERS frame of over 16,384 bytes": size(h2.HEADERS, 16385, 1),
    "a frame of unknown type of over 16,384 bytes": size(UNKNOWN, 16385),
    "a frame that says it is 16 MiB long": Fault(h2.frame(h2.DATA, 0, 1, b"", length=2**24 - 1), FRAME_SIZE),
    "SETTINGS of 5 bytes": size(h2.SETTINGS, 5),
    "SETTINGS of 7 bytes": size(h2.SETTINGS, 7),
    "an acknowledgement of SETTINGS with settings": Fault(h2.frame(h2.SETTINGS, h2.ACK, 0, bytes(6)), FRAME_SIZE),
    "SETTINGS on a stream": on_stream(h2.SETTINGS, b"", 1, OPEN),
    "ENABLE_PUSH of 2": Fault(h2.settings((h2.ENABLE_PUSH, 2)), PROTOCOL),
    "a window of 2^31": Fault(h2.settings((h2.INITIAL_WINDOW_SIZE, 2**31)), FLOW_CONTROL),
    "a frame size of 16,383": Fault(h2.settings((h2.MAX_FRAME_SIZE, 16383)), PROTOCOL),
    "a frame size of 2^24": Fault(h2.settings((h2.MAX_FRAME_SIZE, 2**24)), PROTOCOL),
    "a window that settings make overflow": Fault(
        OPEN + h2.window_update(1, 2**31 - 1 - 65535) + h2.settings((h2.INITIAL_WINDOW_SIZE, 65536)), FLOW_CONTROL
    ),
    "PING of 7 bytes": size(h2.PING, 7),
    "PING of 9 bytes": size(h2.PING, 9),
    "PING on a stream": on_stream(h2.PING, bytes(8), 1, OPEN),
    "RST_STREAM of 3 bytes": size(h2.RST_STREAM, 3, 1, OPEN),
    "RST_STREAM of 5 bytes": size(h2.RST_STREAM, 5, 1, OPEN),
    "RST_STREAM on the connection": on_stream(h2.RST_STREAM, bytes(4), 0),
    "RST_STREAM on an idle stream": on_stream(h2.RST_STREAM, bytes(4), 1),
    "RST_STREAM on an even stream": on_stream(h2.RST_STREAM, bytes(4), 2, OPEN),
    "WINDOW_UPDATE of 3 bytes": size(h2.WINDOW_UPDATE, 3),
    "WINDOW_UPDATE of 5 bytes": size(h2.WINDOW_UPDATE, 5, 1, OPEN),
    "WINDOW_UPDATE on an idle stream": Fault(h2.window_update(1, 1), PROTOCOL),
    "a connection's window grown by nothing": Fault(h2.window_update(0, 0), PROTOCOL),
    "a connection's window beyond the largest": Fault(h2.window_update(0, 2**31 - 1), FLOW_CONTROL),
    "GOAWAY of 7 bytes": size(h2.GOAWAY, 7),
    "GOAWAY on a stream": on_stream(h2.GOAWAY, bytes(8), 1, OPEN),
    "PRIORITY on the connection": on_stream(h2.PRIORITY, bytes(5), 0),
    "PRIORITY of 4 bytes": size(h2.PRIORITY, 4, 1, OPEN),
    "PUSH_PROMISE from a client": on_stream(h2.PUSH_PROMISE, bytes(3) + b"\x02" + REQUEST, 1, OPEN),
    "DATA on the connection": on_stream(h2.DATA, b"x", 0),
    "DATA on an idle stream": on_stream(h2.DATA, b"x", 1),
    "DATA on an even stream": on_stream(h2.DATA, b"x", 2, OPEN),
    "HEADERS on the connection": Fault(h2.headers(0, REQUEST), PROTOCOL),
    "HEADERS on an even stream": Fault(h2.headers(2, REQUEST), PROTOCOL),
    # Opening a stream closes all below it that were not opened before.
    "HEADERS on a stream below one that was opened": Fault(
        h2.headers(5, REQUEST) + h2.headers(3, REQUEST), h2.STREAM_CLOSED
    ),
    "HEADERS too short for their priority": Fault(
        h2.frame(h2.HEADERS, h2.END_HEADERS | h2.WITH_PRIORITY, 1, bytes(4)), FRAME_SIZE
    ),
    "CONTINUATION of nothing": on_stream(h2.CONTINUATION, b"", 1),
    "CONTINUATION after the end of a block": Fault(OPEN + END_OF_PIECE, PROTOCOL),
    "CONTINUATION of another stream": Fault(PIECE + h2.frame(h2.CONTINUATION, h2.END_HEADERS, 3), PROTOCOL),
    "DATA inside a header block": Fault(PIECE + h2.data(1, b"x") + END_OF_PIECE, PROTOCOL),
    "HEADERS inside a header block": Fault(PIECE + h2.headers(3, REQUEST), PROTOCOL),
    "PING inside a header block": Fault(PIECE + h2.ping() + END_OF_PIECE, PROTOCOL),
    "SETTINGS inside a header block": Fault(PIECE + h2.settings() + END_OF_PIECE, PROTOCOL),
    "an unknown frame inside a header block": Fault(PIECE + h2.frame(UNKNOWN, 0, 1) + END_OF_PIECE, PROTOCOL),
    "DATA with padding longer than the frame": Fault(OPEN + h2.frame(h2.DATA, h2.PADDED, 1, b"\x09abc"), PROTOCOL),
    "DATA with padding as long as the frame": Fault(OPEN + h2.frame(h2.DATA, h2.PADDED, 1, b"\x04abc"), PROTOCOL),
    "HEADERS with padding longer than the frame": Fault(
        h2.frame(h2.HEADERS, h2.PADDED | h2.END_HEADERS, 1, b"\xff" + REQUEST[:20]), PROTOCOL
    ),
}


@pytest.mark.parametrize("fault", CONNECTION_FAULTS.values(), ids=CONNECTION_FAULTS)
async def test_a_fault_of_the_connection_ends_it_with_the_code_that_names_it(unharmed, fault):
    async with raw_client(unharmed.public) as client:
        await client.send(fault.sent)
        assert await client.judged(1) == Verdict("goaway", fault.code)


@pytest.mark.parametrize("kind", [h2.DATA, h2.HEADERS])
async def test_a_padded_frame_without_room_for_the_length_of_its_padding_ends_the_connection(unharmed, kind):
    async with raw_client(unharmed.public) as client:
        await client.send(OPEN, h2.frame(kind, h2.PADDED | h2.END_HEADERS, 1))
        verdict = await client.judged(1)
        assert verdict in (Verdict("goaway", PROTOCOL), Verdict("goaway", FRAME_SIZE))


STREAM_FAULTS = {
    "a stream's window grown by nothing": Fault(UPLOADING + h2.window_update(1, 0), PROTOCOL),
    "a stream's window beyond the largest": Fault(UPLOADING + h2.window_update(1, 2**31 - 1), FLOW_CONTROL),
    "DATA after the end": Fault(HALF_CLOSED + h2.data(1, b"x"), h2.STREAM_CLOSED),
    "more DATA after the end": Fault(HALF_CLOSED + h2.data(1, b"x" * 1000) * 10, h2.STREAM_CLOSED),
    "the end twice": Fault(HALF_CLOSED + h2.data(1, b"", end=True), h2.STREAM_CLOSED),
    "HEADERS after the end": Fault(HALF_CLOSED + h2.headers(1, REQUEST, end=True), h2.STREAM_CLOSED),
    "trailers that do not end the stream": Fault(UPLOADING + h2.headers(1, h2.literal(b"x", b"y")), PROTOCOL),
}


@pytest.mark.parametrize("fault", STREAM_FAULTS.values(), ids=STREAM_FAULTS)
async def test_a_fault_of_a_stream_ends_that_stream_alone(unharmed, fault):
    async with raw_client(unharmed.public) as client:
        await client.send(fault.sent)
        assert await client.judged(1) == Verdict("reset", fault.code)
        client.next_id()
        other = await client.call(h2.request(), opening("echo"), end=True)
        last, _ = await client.answered(other)
        assert last.get(b"grpc-status") == b"0"


async def test_a_fault_that_comes_after_the_provider_took_the_call_ends_it_there_too(unharmed):
    async with raw_client(unharmed.public) as client:
        stream_id = await client.call(h2.request(), opening("hang"), end=True)
        await client.until(lambda: client.received.get(stream_id), what="the first answer")
        await client.send(h2.data(stream_id, b"x" * 10))
        assert await client.judged(stream_id) == Verdict("reset", h2.STREAM_CLOSED)
        begun = [words for _, words in unharmed.notes("near-1")]
        assert begun.count("begun hang") >= 1


async def test_data_beyond_the_window_of_a_stream_ends_the_stream(unharmed):
    """A header whose message never ends holds its stream's window shut."""
    async with raw_client(unharmed.public) as client:
        stream_id = await client.call(h2.request(h2.MODELS + "Transform", (b"automarket-provider", b"nobody")))
        del stream_id
        waiting = await client.call(h2.request(), h2.message(bytes(200_000))[:5])
        await client.send(h2.data(waiting, bytes(16384)) * 5)
        verdict = await client.judged(waiting)
        assert verdict in (Verdict("reset", FLOW_CONTROL), Verdict("goaway", FLOW_CONTROL), Verdict("status", 3))


async def test_streams_above_the_limit_are_refused_and_the_others_go_on(unharmed):
    async with raw_client(unharmed.public) as client:
        first = [client.next_id() for _ in range(1000)]
        for stream_id in first:
            client.write(h2.headers(stream_id, REQUEST))
        above = [client.next_id() for _ in range(50)]
        await client.send(*(h2.headers(stream_id, REQUEST) for stream_id in above))
        for stream_id in above:
            assert await client.judged(stream_id) == Verdict("reset", h2.REFUSED_STREAM)
        await client.send(h2.data(first[-1], opening("echo"), end=True))
        last, _ = await client.answered(first[-1])
        assert last.get(b"grpc-status") == b"0"


@pytest.mark.parametrize("stream_id", [2**31 - 1, 2**31 + 1, 2**32 - 1])
async def test_the_reserved_bit_and_the_highest_stream_are_no_fault(unharmed, stream_id):
    async with raw_client(unharmed.public) as client:
        await client.send(h2.headers(stream_id, h2.block(h2.request())), h2.data(stream_id, opening("echo"), end=True))
        last, _ = await client.answered(stream_id & 0x7FFFFFFF)
        assert last.get(b"grpc-status") == b"0"
