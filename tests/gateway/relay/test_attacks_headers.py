"""Header blocks that are too large, cannot be decoded, or say what HTTP/2 and gRPC forbid."""

from __future__ import annotations

import hpack
import pytest

from automarket.errors import Code
from tests.support import h2
from tests.support.attacked import opening
from tests.support.h2 import Verdict, raw_client

pytestmark = pytest.mark.slow

PLAIN = h2.request()


def without(name: bytes) -> h2.Fields:
    return [pair for pair in PLAIN if pair[0] != name]


def with_path(path: bytes) -> h2.Fields:
    return [(name, path if name == b":path" else value) for name, value in PLAIN]


MALFORMED = {
    "a :path that is no UTF-8": with_path(b"/automarket.v1.ModelService/\xff\xfe"),
    "a :path of half a character": with_path(b"/automarket.v1.ModelService/Transform\xc3"),
    "an empty :path": with_path(b""),
    "no :path": without(b":path"),
    "no :method": without(b":method"),
    "no :scheme": without(b":scheme"),
    "two :path": [PLAIN[2], *PLAIN],
    "two :method": [PLAIN[0], *PLAIN],
    "two :authority": [PLAIN[3], *PLAIN],
    "a :status in a request": [(b":status", b"200"), *PLAIN],
    "a pseudo-header that nobody knows": [(b":shape", b"round"), *PLAIN],
    "a pseudo-header after a field": [*PLAIN[:3], (b"x", b"y"), PLAIN[3]],
    "a pseudo-header after a time-out": [*PLAIN[:3], (b"grpc-timeout", b"1S"), PLAIN[3]],
    "a name in capitals": [*PLAIN, (b"X-Name", b"y")],
    "an empty name": [*PLAIN, (b"", b"y")],
    "a name with a space": [*PLAIN, (b"x y", b"z")],
    "a name with a line end": [*PLAIN, (b"x\r\ny", b"z")],
    "a name with a colon": [*PLAIN, (b"x:y", b"z")],
    "a name beyond ASCII": [*PLAIN, ("ö".encode(), b"z")],
    "a value with CR": [*PLAIN, (b"x", b"a\rb")],
    "a value with LF": [*PLAIN, (b"x", b"a\nb: c")],
    "a value with NUL": [*PLAIN, (b"x", b"a\0b")],
    "a :path with LF": with_path(b"/automarket.v1.ModelService/Transform\nx: y"),
    "connection": [*PLAIN, (b"connection", b"close")],
    "keep-alive": [*PLAIN, (b"keep-alive", b"timeout=5")],
    "proxy-connection": [*PLAIN, (b"proxy-connection", b"close")],
    "transfer-encoding": [*PLAIN, (b"transfer-encoding", b"chunked")],
    "upgrade": [*PLAIN, (b"upgrade", b"h2c")],
    "te that is not trailers": [*without(b"te"), (b"te", b"gzip")],
    "a content-length that is no number": [*PLAIN, (b"content-length", b"1x")],
    "a content-length below nothing": [*PLAIN, (b"content-length", b"-1")],
    "a content-length of 5,000 digits": [*PLAIN, (b"content-length", b"1" * 5000)],
    "two lengths that differ": [*PLAIN, (b"content-length", b"1"), (b"content-length", b"2")],
    "a content-length that is too short": [*PLAIN, (b"content-length", b"3")],
    "a content-length that is too long": [*PLAIN, (b"content-length", b"100000")],
}


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_request_is_reset_and_never_reaches_a_provider(unharmed, fields):
    async with raw_client(unharmed.public) as client:
        stream_id = await client.call(fields, opening("echo"), end=True)
        assert await client.judged(stream_id) == Verdict("reset", h2.PROTOCOL_ERROR)
        await _still_serves(client)


async def _still_serves(client) -> None:
    stream_id = await client.call(PLAIN, opening("echo"), end=True)
    last, _ = await client.answered(stream_id)
    assert last.get(b"grpc-status") == b"0"


async def test_a_length_that_is_right_is_accepted(unharmed):
    first = opening("echo")
    async with raw_client(unharmed.public) as client:
        fields = [*PLAIN, (b"content-length", str(len(first)).encode())]
        stream_id = await client.call(fields, first, end=True)
        last, _ = await client.answered(stream_id)
        assert last.get(b"grpc-status") == b"0"


async def test_a_length_is_kept_by_frames_that_follow_the_first_message_too(unharmed):
    first = opening("echo")
    async with raw_client(unharmed.public) as client:
        fields = [*PLAIN, (b"content-length", str(len(first) + 5).encode())]
        stream_id = await client.call(fields, first)
        await client.until(lambda: client.received.get(stream_id), what="the first answer")
        await client.send(h2.data(stream_id, h2.message()), h2.data(stream_id, h2.message(), end=True))
        assert await client.judged(stream_id) == Verdict("reset", h2.PROTOCOL_ERROR)


# A connection that has acknowledged that there is no dynamic table, and one that has not, are read by different code.
TABLES = pytest.mark.parametrize("polite", [True, False], ids=["after the acknowledgement", "before it"])


def flags_of(bits: str) -> bytes:
    """Give bits as bytes, the last filled up with ones."""
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def huffman(value: bytes) -> bytes:
    """Give a field whose value are these bytes of Huffman code."""
    return b"\x00\x01x" + h2.integer(len(value), 7, 0x80) + value


UNREADABLE = {
    "index 0": b"\x80",
    "an index beyond both tables": h2.integer(200, 7, 0x80),
    "the name of an index beyond both tables": h2.integer(200, 6, 0x40) + b"\x01x",
    "the name of an unindexed field beyond both tables": h2.integer(200, 4) + b"\x01x",
    "an index of 2^70": b"\xff" + b"\xff" * 9 + b"\x7f",
    "an integer of 10,000 bytes": b"\xff" + b"\x80" * 10000 + b"\x00",
    "a text of 2^32 bytes": b"\x00" + h2.integer(2**32, 7) + b"x",
    "a text that ends too soon": b"\x00\x01x\x7f\x00abc",
    "a name that ends too soon": b"\x00\x20abc",
    "a field without a value": b"\x00\x01x",
    "a Huffman code that ends inside a character": huffman(flags_of("11111111110000")[:1]),
    "a Huffman code padded with zeros": huffman(b"\x00\x00"[:1]),
    "a Huffman code padded with more than 7 bits": huffman(flags_of("00011") + b"\xff"),
    "a Huffman code that holds EOS": huffman(b"\xff\xff\xff\xff"),
    "a table size above the announced one": b"\x3f\xe1\xff\x03",
    "a table size after a field": h2.literal(b"x", b"y") + b"\x20",
}


@TABLES
@pytest.mark.parametrize("block", UNREADABLE.values(), ids=UNREADABLE)
async def test_a_block_that_cannot_be_read_ends_the_connection(unharmed, block, polite):
    async with raw_client(unharmed.public, settle=polite, polite=polite) as client:
        await client.send(h2.headers(1, h2.block(PLAIN) + block if block[0] != 0x3F else block))
        assert await client.judged(1) == Verdict("goaway", h2.COMPRESSION_ERROR)


async def test_a_reference_to_the_dynamic_table_that_was_given_up_ends_the_connection(unharmed):
    async with raw_client(unharmed.public) as client:
        kept = b"\x40\x05x-foo\x03bar"
        await client.send(h2.headers(1, h2.block(PLAIN) + kept + b"\xbe"))
        assert await client.judged(1) == Verdict("goaway", h2.COMPRESSION_ERROR)


async def test_the_dynamic_table_is_there_until_it_was_given_up(unharmed):
    encoder = hpack.Encoder()
    async with raw_client(unharmed.public, settle=False, polite=False) as client:
        for _ in range(3):
            stream_id = client.next_id()
            block = encoder.encode([*PLAIN, (b"x-known", b"as before")])
            await client.send(h2.headers(stream_id, block), h2.data(stream_id, opening("echo"), end=True))
            last, _ = await client.answered(stream_id)
            assert last.get(b"grpc-status") == b"0"
        assert len(block) < 20


LARGE = {
    "one field of 17,000 bytes": h2.literal(b"x", b"y" * 16200) + h2.literal(b"x", b"y" * 800),
    "600 fields of nothing": h2.literal(b"x", b"") * 600,
    "600 fields from the static table": b"\x90" * 600,
    "a Huffman code of 17,000 characters": h2.literal(b"x", b"")
    + b"\x00\x01y"
    + h2.integer(10625, 7, 0x80)
    + flags_of("00011" * 17000),
}


@TABLES
@pytest.mark.parametrize("block", LARGE.values(), ids=LARGE)
async def test_a_header_list_above_16_kib_is_refused(unharmed, block, polite):
    """With a dynamic table what was not read might have been in it: then the connection is over."""
    async with raw_client(unharmed.public, settle=polite, polite=polite) as client:
        whole = h2.block(PLAIN) + block
        pieces = [whole[at : at + 16384] for at in range(0, len(whole), 16384)]
        stream_id = client.next_id()
        await client.send(
            h2.headers(stream_id, pieces[0], end_headers=len(pieces) == 1),
            *(h2.frame(h2.CONTINUATION, h2.END_HEADERS, stream_id, piece) for piece in pieces[1:]),
        )
        verdict = await client.judged(stream_id)
        if polite:
            assert verdict == Verdict("status", Code.RESOURCE_EXHAUSTED)
            await _still_serves(client)
        else:
            assert verdict == Verdict("goaway", h2.ENHANCE_YOUR_CALM)


async def test_a_field_kept_in_the_table_and_repeated_ten_thousand_times_is_refused(unharmed):
    """A bomb: 14 KB of references stand for 40 MB of fields."""
    async with raw_client(unharmed.public, settle=False, polite=False) as client:
        kept = b"\x40" + h2.integer(1, 7) + b"x" + h2.integer(4000, 7) + b"y" * 4000
        await client.send(h2.headers(1, h2.block(PLAIN) + kept + b"\xbe" * 10000))
        assert await client.judged(1) == Verdict("goaway", h2.ENHANCE_YOUR_CALM)


async def test_a_block_in_eight_continuations_is_read(unharmed):
    async with raw_client(unharmed.public) as client:
        stream_id = client.next_id()
        whole = h2.block(PLAIN)
        pieces = [whole[at : at + 20] for at in range(0, 160, 20)] + [whole[160:]]
        await client.send(
            h2.headers(stream_id, pieces[0], end_headers=False),
            *(h2.frame(h2.CONTINUATION, 0, stream_id, piece) for piece in pieces[1:-1]),
            h2.frame(h2.CONTINUATION, h2.END_HEADERS, stream_id, pieces[-1]),
            h2.data(stream_id, opening("echo"), end=True),
        )
        last, _ = await client.answered(stream_id)
        assert len(pieces) == 9
        assert last.get(b"grpc-status") == b"0"


@pytest.mark.parametrize("piece", [b"", b"\x00\x01x\x01y"], ids=["of nothing", "of a field"])
async def test_a_block_in_nine_continuations_ends_the_connection(unharmed, piece):
    async with raw_client(unharmed.public) as client:
        await client.send(
            h2.headers(1, h2.block(PLAIN), end_headers=False),
            h2.frame(h2.CONTINUATION, 0, 1, piece) * 8,
            h2.frame(h2.CONTINUATION, h2.END_HEADERS, 1, piece),
        )
        assert await client.judged(1) == Verdict("goaway", h2.ENHANCE_YOUR_CALM)


BAD_TIMEOUTS = [
    b"",
    b"1",
    b"S",
    b"-1S",
    b"1s",
    b"1.5S",
    b"123456789S",
    b"1 S",
    b"\xd9\xa1S",
    b"0x1S",
    b"1" * 5000 + b"S",
]


@pytest.mark.parametrize("value", BAD_TIMEOUTS)
async def test_a_time_out_that_is_none_is_refused_with_a_status(unharmed, value):
    async with raw_client(unharmed.public) as client:
        stream_id = await client.call([*PLAIN, (b"grpc-timeout", value)], opening("echo"), end=True)
        verdict = await client.judged(stream_id)
        assert verdict in (Verdict("status", Code.INVALID_ARGUMENT), Verdict("status", Code.INTERNAL))
        await _still_serves(client)


@pytest.mark.parametrize("value", [b"99999999H", b"99999999M", b"99999999S", b"99999999m", b"99999999u", b"99999999n"])
async def test_the_largest_time_outs_of_every_unit_are_accepted(unharmed, value):
    async with raw_client(unharmed.public) as client:
        stream_id = await client.call([*PLAIN, (b"grpc-timeout", value)], opening("echo"), end=True)
        verdict = await client.judged(stream_id)
        is_short = value.endswith(b"n")  # 0.1 s may be too little on a busy machine
        assert verdict == Verdict("status", 0) or (is_short and verdict == Verdict("status", Code.DEADLINE_EXCEEDED))


@pytest.mark.parametrize("value", [b"0S", b"1n", b"1u", b"1m"])
async def test_a_time_out_that_has_passed_already_is_answered_as_such(unharmed, value):
    async with raw_client(unharmed.public) as client:
        stream_id = await client.call([*PLAIN, (b"grpc-timeout", value)], opening("wait"))
        assert await client.judged(stream_id) == Verdict("status", Code.DEADLINE_EXCEEDED)
