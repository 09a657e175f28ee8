"""How a call ended crosses the gateway: code, words, details, before and after messages, while the client sends."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from tests.support.gateway import asking
from tests.support.raw_peer import DETAILS, GENERATE, GET_MODEL, TRANSFORM, piece

ROUNDS = 25
WORDS = "größer als 100 % - 大きすぎる\n\tand a second line \U0001f40c"


def details(code):
    """Make a status with details that nobody on the way knows."""
    status = status_pb2.Status(code=code, message=WORDS)
    for reason in ("ONE", "TWO"):
        packed = any_pb2.Any()
        packed.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="example.org", metadata={"key": "välue"}))
        status.details.append(packed)
    return status.SerializeToString()


def ending(code, words=WORDS, *more):
    return asking("status", ("code", code.name), ("message-bin", words.encode()), *more)


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
async def test_every_code_keeps_its_words_and_its_details(hop, code):
    given = details(code.value[0])
    call = hop.unary_unary(GET_MODEL)(b"", metadata=ending(code, WORDS, ("status-details-bin", given)))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is code
    assert caught.value.details() == WORDS
    assert dict(caught.value.trailing_metadata())[DETAILS] == given


@pytest.mark.parametrize("words", ["", " ", "%", "%41%zz", "x" * 4000, "\x7f\x01", WORDS], ids=ascii)
async def test_words_pass_whatever_they_are(hop, words):
    for _ in range(ROUNDS):
        call = hop.stream_stream(TRANSFORM)(metadata=ending(grpc.StatusCode.ABORTED, words))
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.ABORTED
        assert await call.details() == words


@pytest.mark.parametrize("count", [0, 1, 50])
async def test_messages_before_the_end_arrive_before_it(hop, count):
    for _ in range(ROUNDS):
        metadata = ending(grpc.StatusCode.DATA_LOSS, WORDS, ("count", str(count)))
        call = hop.unary_stream(GENERATE)(b"", metadata=metadata)
        assert [await call.read() for _ in range(count)] == [piece(number, 100) for number in range(count)]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.DATA_LOSS, WORDS)


async def test_a_failure_without_any_message_has_no_answer_before_it(hop):
    for _ in range(ROUNDS):
        call = hop.stream_stream(TRANSFORM)(metadata=ending(grpc.StatusCode.NOT_FOUND))
        await call.write(b"one")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.NOT_FOUND, WORDS)
