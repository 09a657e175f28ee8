"""Messages that the ends compress cross the gateway compressed, and nobody on the way opens them."""

from __future__ import annotations

import grpc
import pytest

from tests.support.cutting_proxy import CuttingProxy
from tests.support.gateway import Here, asking, stock_channel, until_raw_served
from tests.support.mesh import free_port
from tests.support.raw_peer import GENERATE, GET_MODEL, TRANSFORM, piece, tally_of

ROUNDS = 25
MIB = 1024 * 1024
SMALL = MIB // 50
ENCODINGS = [grpc.Compression.Gzip, grpc.Compression.Deflate]
ANSWER = ("gzip", "yes")


@pytest.fixture
async def counted(short_dir):
    """Give a channel through proxies that count the bytes: to the public port, and from it to the provider."""
    here = Here(short_dir, tcp=True)
    back = CuttingProxy(f"127.0.0.1:{free_port()}", 1 << 62)
    front = CuttingProxy(here.public, 1 << 62)
    async with back.running() as behind, front.running() as public, here.running():
        peer = here.raw_peer(address=back.target)
        peer.registration.endpoints[0].address = behind
        async with peer, stock_channel(public) as channel:
            await until_raw_served(channel)
            yield channel, front, back


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda one: one.name)
async def test_a_compressed_request_is_small_on_both_sides_of_the_gateway(counted, encoding):
    channel, front, back = counted
    pieces = [piece(number, MIB) for number in range(4)]
    for _ in range(5):
        before = front.passed, back.passed
        call = channel.stream_unary(TRANSFORM)(iter(pieces), metadata=asking("sink"), compression=encoding)
        assert await call == tally_of(pieces)
        assert front.passed - before[0] < SMALL
        assert back.passed - before[1] < SMALL


async def test_a_compressed_answer_is_small_on_both_sides_of_the_gateway(counted):
    channel, front, back = counted
    for _ in range(5):
        before = front.returned, back.returned
        metadata = asking("flood", ANSWER, ("count", "4"), ("size", str(MIB)))
        got = [message async for message in channel.unary_stream(GENERATE)(b"", metadata=metadata)]
        assert got == [piece(number, MIB) for number in range(4)]
        assert front.returned - before[0] < SMALL
        assert back.returned - before[1] < SMALL


@pytest.mark.parametrize("encoding", [grpc.Compression.NoCompression, *ENCODINGS], ids=lambda one: one.name)
@pytest.mark.parametrize("metadata", [asking(), asking("echo", ANSWER)], ids=["plain answer", "gzip answer"])
async def test_any_mix_of_encodings_gives_the_same_messages(hop, encoding, metadata):
    pieces = [b"", b"x", *(piece(number, size) for number, size in enumerate((100, 16_384, MIB)))]
    for _ in range(ROUNDS):
        call = hop.stream_stream(TRANSFORM)(iter(pieces), metadata=metadata, compression=encoding)
        assert [message async for message in call] == pieces
        assert await hop.unary_unary(GET_MODEL)(pieces[2], metadata=metadata, compression=encoding) == pieces[2]
