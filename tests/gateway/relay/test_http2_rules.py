"""The parts of HTTP/2 that gRPC clients seldom use, and that a server has to know all the same."""

from __future__ import annotations

import json

import hpack
import pytest

from automarket.v1 import model_service_pb2
from tests.support import h2
from tests.support.attacked import opening
from tests.support.gateway import chunk, until
from tests.support.h2 import Verdict, raw_client

pytestmark = pytest.mark.slow

UNKNOWN = 0x42


def messages(received: bytes) -> list[model_service_pb2.TransformResponse]:
    """Take the messages of an answer apart."""
    found = []
    while received:
        size = int.from_bytes(received[1:5], "big")
        found.append(model_service_pb2.TransformResponse.FromString(received[5 : 5 + size]))
        received = received[5 + size :]
    return found


def echoed(received: bytes) -> list[bytes]:
    return [one.event.output_chunk.data for one in messages(received) if one.event.HasField("output_chunk")]


def metadata(received: bytes) -> dict[str, str]:
    """Give what the provider says it was sent."""
    return json.loads(messages(received)[0].event.progress.message)["metadata"]


def piece(content: bytes) -> bytes:
    return h2.message(chunk(content).SerializeToString())


async def test_the_relay_announces_what_it_can_bear(unharmed):
    async with raw_client(unharmed.public) as client:
        announced = client.all_of(h2.SettingsFrame)[0].settings
        assert announced[h2.HEADER_TABLE_SIZE] == 0
        assert announced[h2.MAX_HEADER_LIST_SIZE] == 16384
        assert announced[h2.INITIAL_WINDOW_SIZE] == 65535
        assert h2.MAX_FRAME_SIZE not in announced
        updates = [one for one in client.frames if one.type == h2.WINDOW_UPDATE and not one.stream_id]
        assert 65535 + sum(one.window_increment for one in updates) == 4 * 1024 * 1024


async def test_a_ping_is_answered_with_its_own_bytes(unharmed):
    async with raw_client(unharmed.public) as client:
        await client.send(h2.ping(b"\x00\xffabcdef"))
        await client.until(lambda: client.all_of(h2.PingFrame)[1:], what="an answer")
        assert client.all_of(h2.PingFrame)[-1].opaque_data == b"\x00\xffabcdef"
        assert "ACK" in client.all_of(h2.PingFrame)[-1].flags


@pytest.mark.parametrize("padding", [0, 1, 255])
async def test_padding_is_taken_off_before_a_provider_sees_it(unharmed, padding):
    """Those of grpc.aio close the connection on a padded frame."""
    async with raw_client(unharmed.public) as client:
        await client.send(
            h2.padded(h2.HEADERS, h2.END_HEADERS, 1, h2.block(h2.request()), padding),
            h2.padded(h2.DATA, 0, 1, opening("echo"), padding),
            h2.padded(h2.DATA, 0, 1, piece(b"one"), padding),
            h2.padded(h2.DATA, h2.END_STREAM, 1, piece(b"two"), padding),
        )
        last, received = await client.answered(1)
        assert last.get(b"grpc-status") == b"0"
        assert echoed(received) == [b"one", b"two"]


async def test_padding_counts_in_the_windows_and_is_given_back(unharmed):
    async with raw_client(unharmed.public) as client:
        stream_id = await client.call(h2.request(), opening("echo"))
        await client.until(lambda: client.received.get(stream_id), what="the first answer")
        padded = h2.padded(h2.DATA, 0, stream_id, b"\0", 255)  # five of them are a message of nothing
        sent = len(opening("echo"))
        for _ in range(900):  # 230 KB of padding: four windows of a stream
            sent += len(padded) - 9
            await client.until(lambda sent=sent: 65535 + client.granted(stream_id) >= sent, what="a window update")
            await client.send(padded)
        await client.send(h2.data(stream_id, piece(b"one"), end=True))
        _, received = await client.answered(stream_id)
        assert echoed(received)[-1] == b"one"


async def test_priorities_are_read_over(unharmed):
    async with raw_client(unharmed.public) as client:
        priority = b"\x80\x00\x00\x00\xff"
        flags = h2.END_HEADERS | h2.WITH_PRIORITY
        await client.send(
            h2.frame(h2.PRIORITY, 0, 7, priority),
            h2.frame(h2.HEADERS, flags, 1, priority + h2.block(h2.request())),
            h2.frame(h2.PRIORITY, 0, 1, priority),
            h2.data(1, opening("echo"), end=True),
        )
        last, _ = await client.answered(1)
        assert last.get(b"grpc-status") == b"0"


async def test_priority_and_padding_of_one_frame_are_both_taken_off(unharmed):
    async with raw_client(unharmed.public) as client:
        content = b"\x00\x00\x00\x00\x10" + h2.block(h2.request())
        await client.send(
            h2.padded(h2.HEADERS, h2.END_HEADERS | h2.WITH_PRIORITY, 1, content, 30),
            h2.data(1, opening("echo"), end=True),
        )
        last, _ = await client.answered(1)
        assert last.get(b"grpc-status") == b"0"


async def test_unknown_frames_settings_and_flags_are_read_over(unharmed):
    async with raw_client(unharmed.public, h2.settings((0x99, 7), (0xFE03, 1), (0, 0))) as client:
        await client.send(
            h2.frame(UNKNOWN, 0xFF, 0, b"anything"),
            h2.frame(UNKNOWN, 0, 1, b"anything"),
            h2.frame(h2.HEADERS, h2.END_HEADERS | 0xD2, 1, h2.block(h2.request())),
            h2.frame(UNKNOWN, 0, 1, bytes(16384)),
            h2.frame(h2.DATA, h2.END_STREAM | 0xF6, 1, opening("echo")),
        )
        last, _ = await client.answered(1)
        assert last.get(b"grpc-status") == b"0"


async def test_a_block_in_pieces_is_put_together_and_reaches_the_provider_whole(unharmed):
    async with raw_client(unharmed.public) as client:
        value = "long " * 1500
        block = h2.block(h2.request(h2.MODELS + "Transform", (b"x-long", value.strip().encode())))
        pieces = [block[at : at + 1000] for at in range(0, len(block), 1000)]
        await client.send(
            h2.headers(1, pieces[0], end_headers=False),
            *(h2.frame(h2.CONTINUATION, 0, 1, one) for one in pieces[1:-1]),
            h2.frame(h2.CONTINUATION, h2.END_HEADERS, 1, pieces[-1]),
            h2.data(1, opening("echo"), end=True),
        )
        _, received = await client.answered(1)
        assert metadata(received)["x-long"] == value.strip()


async def test_trailers_from_a_client_end_its_request(unharmed):
    """gRPC has none, HTTP/2 does: they count as the end of the request."""
    async with raw_client(unharmed.public) as client:
        stream_id = await client.call(h2.request(), opening("echo"), piece(b"one"))
        await client.send(h2.headers(stream_id, h2.literal(b"x-trailer", b"y"), end=True))
        last, received = await client.answered(stream_id)
        assert last.get(b"grpc-status") == b"0"
        assert echoed(received) == [b"one"]


@pytest.mark.parametrize("huffman", [True, False])
async def test_every_way_to_write_a_field_is_read(unharmed, huffman):
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    fields = h2.request(h2.MODELS + "Transform", (b"x-plain", b"one"), (b"accept-encoding", b"gzip, deflate"))
    never = b"\x10" + h2.integer(5, 7) + b"x-two" + h2.integer(3, 7) + b"two"
    kept = b"\x40" + h2.integer(7, 7) + b"x-three" + h2.integer(5, 7) + b"three"
    async with raw_client(unharmed.public) as client:
        block = encoder.encode(fields, huffman=huffman) + never + kept
        await client.send(h2.headers(1, block), h2.data(1, opening("echo"), end=True))
        _, received = await client.answered(1)
        found = metadata(received)
        assert (found["x-plain"], found["x-two"], found["x-three"]) == ("one", "two", "three")


async def test_a_client_that_says_goaway_gets_the_answers_that_it_waits_for(unharmed):
    async with raw_client(unharmed.public) as client:
        stream_id = await client.call(h2.request(), opening("echo"))
        await client.until(lambda: client.received.get(stream_id), what="the first answer")
        await client.send(h2.goaway(0), h2.data(stream_id, piece(b"one"), end=True))
        last, received = await client.answered(stream_id)
        assert last.get(b"grpc-status") == b"0"
        assert echoed(received) == [b"one"]


async def test_a_window_of_one_byte_gets_the_whole_answer(unharmed):
    async with raw_client(unharmed.public, h2.settings((h2.INITIAL_WINDOW_SIZE, 1))) as client:
        stream_id = await client.call(h2.request(), opening("echo"), piece(b"one"), end=True)
        last, received = await client.answered(stream_id, 20)
        assert last.get(b"grpc-status") == b"0"
        assert echoed(received) == [b"one"]
        assert max(len(one.data) for one in client.all_of(h2.DataFrame)) <= 1


async def test_a_window_that_shrinks_below_nothing_stops_the_answer_until_it_is_open_again(unharmed):
    async with raw_client(unharmed.public) as client:
        client.credits = False
        stream_id = await client.call(h2.request(), opening("echo"))
        for _ in range(3):
            await client.send(h2.data(stream_id, piece(bytes(16000))))
        await client.until(lambda: len(client.received.get(stream_id, b"")) > 48000, what="three pieces")
        await client.send(h2.settings((h2.INITIAL_WINDOW_SIZE, 0)))
        await client.sync()
        held = len(client.received[stream_id])
        await client.send(h2.data(stream_id, piece(bytes(10000)), end=True))
        await client.send(h2.window_update(stream_id, held), h2.window_update(0, 2**20))
        await client.sync()
        assert len(client.received[stream_id]) == held
        await client.send(h2.window_update(stream_id, 20000))
        last, received = await client.answered(stream_id)
        assert last.get(b"grpc-status") == b"0"
        assert [len(one) for one in echoed(received)] == [16000] * 3 + [10000]


async def test_settings_are_acknowledged_before_what_they_allow_is_used(unharmed):
    async with raw_client(unharmed.public, h2.settings((h2.INITIAL_WINDOW_SIZE, 0))) as client:
        stream_id = await client.call(h2.request(), opening("echo"), piece(b"one"), end=True)
        await client.until(lambda: client.block_of(stream_id), what="the initial metadata")
        await client.sync()
        known = len(client.frames)
        await client.send(h2.settings((h2.INITIAL_WINDOW_SIZE, 65535)))
        await client.answered(stream_id)
        kinds = [one.type for one in client.frames[known:] if one.type in (h2.SETTINGS, h2.DATA)]
        assert kinds[0] == h2.SETTINGS


async def test_a_call_that_the_client_resets_ends_at_the_provider(unharmed):
    async with raw_client(unharmed.public) as client:
        stream_id = await client.call(h2.request(), opening("hang", "far"))
        await client.until(lambda: client.received.get(stream_id), what="the first answer")
        before = _cancelled(unharmed)
        await client.send(h2.reset(stream_id))
        await client.sync()
        assert client.verdict(stream_id) is None
    await until(lambda: _cancelled(unharmed) > before, 5, "the provider notices")


def _cancelled(gateway) -> int:
    return sum("Error hang" in words or "Exit hang" in words for _, words in gateway.notes("far-1"))


async def test_a_client_that_hangs_up_ends_all_its_calls_at_the_provider(unharmed):
    before = _cancelled(unharmed)
    async with raw_client(unharmed.public) as client:
        for _ in range(5):
            stream_id = await client.call(h2.request(), opening("hang", "far"))
        await client.until(lambda: client.received.get(stream_id), what="the first answer of the last")
    await until(lambda: _cancelled(unharmed) >= before + 5, 5, "the provider notices")


async def test_thousands_of_calls_go_over_one_connection(unharmed):
    request = model_service_pb2.GetModelRequest()
    request.target.provider = "near"
    asked = h2.message(request.SerializeToString())
    fields = h2.block(h2.request(h2.MODELS + "GetModel"))
    async with raw_client(unharmed.public) as client:
        for _ in range(100):
            ids = [client.next_id() for _ in range(20)]
            await client.send(*(h2.headers(number, fields) + h2.data(number, asked, end=True) for number in ids))
            for number in ids:
                assert await client.judged(number) == Verdict("status", 0)
            client.frames.clear()
            client.blocks.clear()
