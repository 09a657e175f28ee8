"""First messages that hide their target: large, compressed, out of order or no messages at all."""

from __future__ import annotations

import base64
import gzip
import zlib

import pytest

from automarket.errors import Code
from automarket.rpc.status import from_status
from tests.support import h2
from tests.support.attacked import opening
from tests.support.gateway import header
from tests.support.h2 import Verdict, raw_client

pytestmark = pytest.mark.slow

HEADER = header("echo", provider="near").SerializeToString()
MIB = 1024 * 1024


def varint(value: int) -> bytes:
    made = bytearray()
    while value >= 128:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def field(number: int, content: bytes, *, length: int | None = None) -> bytes:
    """Give a field of protobuf that holds bytes; `length` may lie."""
    return varint(number << 3 | 2) + varint(len(content) if length is None else length) + content


def squeezed(pieces, *, as_gzip: bool = True) -> bytes:
    """Compress without ever holding all of it."""
    squeezing = zlib.compressobj(9, zlib.DEFLATED, 31 if as_gzip else 15)
    return b"".join([squeezing.compress(piece) for piece in pieces] + [squeezing.flush()])


BOMB = [bytes(MIB)] * 100
FIRST_IS_HUGE = varint(1 << 3 | 2) + varint(100 * MIB)
OTHER_IS_HUGE = varint(9 << 3 | 2) + varint(100 * MIB)

NOT_FIRST = {
    "another field of 16 KiB first": (b"", field(9, bytes(16384)) + HEADER),
    "another small field first": (b"", field(9, b"x") + HEADER),
    "a target beyond the limit": (b"", field(1, field(2, b"m" * 20000))),
    "a message that says its target has 100 MiB": (b"", FIRST_IS_HUGE + bytes(100)),
    "100 MiB in 100 KiB of gzip as another field": (b"gzip", squeezed([OTHER_IS_HUGE, *BOMB])),
    "100 MiB in 100 KiB of gzip as the target": (b"gzip", squeezed([FIRST_IS_HUGE, *BOMB])),
    "100 MiB in 100 KiB of deflate": (b"deflate", squeezed([OTHER_IS_HUGE, *BOMB], as_gzip=False)),
}

INVALID = {
    "noise": (b"", b"\xff" * 100),
    "a group that nobody ends": (b"", b"\x0b" * 1000),
    "tags of no field": (b"", bytes(1000)),
    "a varint that does not end": (b"", b"\x0a" + b"\x80" * 100),
    "a target that is no message": (b"", field(1, b"\xff\xff\xff")),
    "names that are no UTF-8": (b"", field(1, field(3, b"\xff\xfe"))),
    "noise as gzip": (b"gzip", b"\x00\x01\x02" * 50),
    "100 MiB of zeros in gzip": (b"gzip", squeezed(BOMB)),
    "half of a gzip": (b"gzip", gzip.compress(HEADER)[:12]),
    "an encoding that nobody knows": (b"br", b"\x8b"),
    "compressed without an encoding": (b"", gzip.compress(HEADER)),
}
COMPRESSED = {"compressed without an encoding"}


async def _answer(unharmed, sent: bytes, encoding: bytes):
    extra = [(b"grpc-encoding", encoding)] if encoding else []
    async with raw_client(unharmed.public) as client:
        pieces = [sent[at : at + 16384] for at in range(0, min(len(sent), 48 * 1024), 16384)]
        stream_id = await client.call(h2.request(h2.MODELS + "Transform", *extra))
        for number, piece in enumerate(pieces, 1):
            await client.send(h2.data(stream_id, piece, end=number == len(pieces)))
        last, _ = await client.answered(stream_id)
        other = await client.call(h2.request(), opening("echo"), end=True)
        assert await client.judged(other) == Verdict("status", 0)
        return last


def _error(last: h2.Block):
    text = last.get(b"grpc-status-details-bin") or b""
    details = base64.b64decode(text + b"=" * (-len(text) % 4))
    return from_status(int(last.get(b"grpc-status") or 2), "", details)


@pytest.mark.parametrize(("encoding", "content"), NOT_FIRST.values(), ids=NOT_FIRST)
async def test_a_target_that_is_not_found_within_16_kib_is_refused_with_the_way_out(unharmed, encoding, content):
    last = await _answer(unharmed, h2.message(content, compressed=bool(encoding)), encoding)
    assert last.get(b"grpc-status") == b"%d" % Code.INVALID_ARGUMENT
    error = _error(last)
    assert error.reason == "TARGET_NOT_FIRST"
    assert "automarket-" in (error.hint or "")


@pytest.mark.parametrize("name", INVALID)
async def test_a_first_message_that_is_none_is_refused(unharmed, name):
    encoding, content = INVALID[name]
    last = await _answer(unharmed, h2.message(content, compressed=bool(encoding) or name in COMPRESSED), encoding)
    assert int(last.get(b"grpc-status") or 0) in (Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED)
    assert _error(last).reason in ("REQUEST_INVALID", "TARGET_NOT_FIRST", "TARGET_MISSING")


@pytest.mark.parametrize(
    "sent",
    [b"", b"\0", b"\0\0\0\0", b"\x07\0\0\0\x01x", h2.message(b""), b"\0\xff\xff\xff\xff" + HEADER[:5]],
    ids=["nothing", "a byte", "half a prefix", "an unknown flag", "a message of nothing", "half a message"],
)
async def test_a_request_that_ends_before_its_target_is_refused(unharmed, sent):
    async with raw_client(unharmed.public) as client:
        stream_id = await client.call(h2.request(), sent, end=True)
        last, _ = await client.answered(stream_id)
        assert last.get(b"grpc-status") == b"%d" % Code.INVALID_ARGUMENT


async def test_a_target_is_found_in_a_first_message_that_comes_byte_by_byte(unharmed):
    async with raw_client(unharmed.public) as client:
        stream_id = await client.call(h2.request())
        await client.send(b"".join(h2.data(stream_id, bytes((byte,))) for byte in opening("echo")))
        await client.send(h2.data(stream_id, b"", end=True))
        assert await client.judged(stream_id) == Verdict("status", 0)


async def test_a_target_is_found_in_a_compressed_message(unharmed):
    async with raw_client(unharmed.public) as client:
        sent = h2.message(gzip.compress(HEADER), compressed=True)
        fields = h2.request(h2.MODELS + "Transform", (b"grpc-encoding", b"gzip"))
        stream_id = await client.call(fields, sent, end=True)
        assert await client.judged(stream_id) == Verdict("status", 0)


async def test_a_method_that_is_not_public_is_unimplemented(unharmed):
    async with raw_client(unharmed.public) as client:
        for path in ("/automarket.v1.RegistryService/Register", "/automarket.v1.ModelService", "/", "*", "/a/b/c"):
            stream_id = await client.call(h2.request(path), opening("echo"), end=True)
            assert await client.judged(stream_id) == Verdict("status", Code.UNIMPLEMENTED), path


async def test_what_only_the_gateway_may_say_does_not_reach_a_provider(unharmed):
    fields = h2.request(
        h2.MODELS + "Transform",
        (b"automarket-resolved-model", b"forged"),
        (b"automarket-resolved-provider", b"forged"),
        (b"automarket-identity", b"forged"),
        (b"automarket-identity-groups", b"forged"),
        (b"authorization", b"Bearer forged"),
    )
    async with raw_client(unharmed.public) as client:
        stream_id = await client.call(fields, opening("echo"), end=True)
        _, received = await client.answered(stream_id)
        assert b"near-1" in received
        assert b"forged" not in received


@pytest.mark.parametrize("content_type", [b"text/html", b"application/json", b"application/grpc-web", b""])
async def test_what_is_no_grpc_is_answered_in_http(unharmed, content_type):
    fields = [pair for pair in h2.request() if pair[0] != b"content-type"]
    async with raw_client(unharmed.public) as client:
        stream_id = await client.call([*fields, (b"content-type", content_type)], opening("echo"), end=True)
        await client.until(lambda: client.block_of(stream_id), what="an answer")
        assert client.block_of(stream_id).get(b":status") == b"415"


@pytest.mark.parametrize("method", [b"GET", b"PUT", b"CONNECT", b"OPTIONS"])
async def test_what_is_no_post_is_refused(unharmed, method):
    fields = [(b":method", method), *h2.request()[1:]]
    async with raw_client(unharmed.public) as client:
        stream_id = await client.call(fields, end=True)
        await client.until(lambda: client.block_of(stream_id), what="an answer")
        assert client.block_of(stream_id).get(b":status") in (b"405", b"415")
