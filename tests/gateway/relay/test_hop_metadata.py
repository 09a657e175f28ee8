"""Headers and trailers cross the gateway as they were sent."""

from __future__ import annotations

import os

import pytest

from automarket.rpc.streams import EOF
from tests.support.gateway import asking
from tests.support.raw_peer import GENERATE, GET_MODEL, TRANSFORM

ROUNDS = 25

PAIRS = {
    "ascii": (("x-word", "a value, with commas; and = signs"), ("x-tilde", "~!@#$%^&*()")),
    "binary": (("x-all-bin", bytes(range(256))), ("x-one-bin", b"\x00"), ("x-two-bin", b"\xff\xfe")),
    "empty": (("x-none", ""), ("x-none-bin", b"")),
    "repeated": (("x-key", "one"), ("x-other", "between"), ("x-key", "two"), ("x-key", "one")),
    "repeated binary": (("x-key-bin", b"\x00one"), ("x-key-bin", b"\x00two")),
    "long": (("x-long", "v" * 6 * 1024),),
    "long binary": (("x-long-bin", os.urandom(4 * 1024)),),
    "many": tuple((f"x-key-{number}", str(number)) for number in range(60)),
}


def ours(metadata):
    """Give what `reflect` gave back, in order, the values of one key in theirs."""
    pairs = [(key, value) for key, value in metadata or () if key.startswith("x-")]
    return sorted(pairs, key=lambda pair: pair[0])


@pytest.mark.parametrize("pairs", PAIRS.values(), ids=PAIRS)
async def test_headers_and_trailers_come_back_as_they_went(hop, pairs):
    want = ours(pairs)
    for _ in range(ROUNDS):
        call = hop.stream_stream(TRANSFORM)(metadata=asking("reflect", *pairs))
        await call.write(b"one")
        assert ours(await call.initial_metadata()) == want
        assert await call.read() == b"one"
        await call.done_writing()
        assert await call.read() is EOF
        assert ours(await call.trailing_metadata()) == want


async def test_a_value_of_8_kib_passes_in_headers_and_in_trailers(hop):
    pairs = (("x-long", "v" * 8 * 1024),)
    for _ in range(ROUNDS):
        call = hop.unary_unary(GET_MODEL)(b"", metadata=asking("reflect", *pairs))
        assert ours(await call.initial_metadata()) == list(pairs)
        assert await call == b""
        assert ours(await call.trailing_metadata()) == list(pairs)


async def test_unary_calls_and_server_streams_carry_metadata_too(hop):
    pairs = (*PAIRS["repeated"], *PAIRS["repeated binary"])
    for _ in range(ROUNDS):
        unary = hop.unary_unary(GET_MODEL)(b"ping", metadata=asking("reflect", *pairs))
        assert await unary == b"ping"
        stream = hop.unary_stream(GENERATE)(b"ping", metadata=asking("reflect", *pairs))
        assert [message async for message in stream] == [b"ping"]
        for call in (unary, stream):
            assert ours(await call.initial_metadata()) == ours(pairs)
            assert ours(await call.trailing_metadata()) == ours(pairs)


async def test_what_belongs_to_the_gateway_or_to_one_hop_does_not_pass(hop):
    secret = (("authorization", "Bearer x"), ("automarket-identity", "root"), ("automarket-identity-team", "all"))
    for _ in range(ROUNDS):
        seen = dict(await _received(hop, *secret, ("automarket-resolved-model", "forged")))
        assert not {key for key in seen if key == "authorization" or key.startswith("automarket-identity")}
        assert seen["automarket-resolved-model"] == "words"
        assert seen["automarket-resolved-provider"] == "raw"
        assert seen["automarket-model"] == "words"


async def test_a_trace_goes_on_and_its_parent_is_given_once(hop):
    trace = "0af7651916cd43dd8448eb211c80319c"
    for _ in range(ROUNDS):
        seen = await _received(hop, ("traceparent", f"00-{trace}-b7ad6b7169203331-01"))
        [parent] = [value for key, value in seen if key == "traceparent"]
        assert parent.split("-")[1] == trace


async def _received(hop, *pairs):
    """Give the metadata that the provider got."""
    words = await hop.unary_unary(GET_MODEL)(b"", metadata=asking("headers", *pairs))
    return [tuple(line.split("=", 1)) for line in words.decode().splitlines()]
