"""A call that one end gives up ends at the other, whichever end it is and whatever the call was doing."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from tests.support.gateway import Here, asking, stock_channel, until
from tests.support.mesh import free_port
from tests.support.raw_peer import GENERATE, GET_MODEL, TRANSFORM

ROUNDS = 25
CALLS = {
    "before any message": ("wait", 0),
    "after messages": ("echo", 3),
    "while the provider is silent": ("hang", 1),
    "while the provider does not read": ("deaf", 100),
    "while the provider sends": ("flood", 1),
}


@pytest.mark.alone
@pytest.mark.parametrize(("do", "count"), CALLS.values(), ids=CALLS)
async def test_a_cancel_of_the_caller_reaches_the_provider(hop, there, do, count):
    for _ in range(ROUNDS):
        there.notes.clear()
        metadata = asking(do, ("count", "100000"), ("size", "1000"))
        call = hop.stream_stream(TRANSFORM)(metadata=metadata)
        sending = asyncio.create_task(_send(call, count))
        await call.initial_metadata()
        await until(lambda: f"begun {do}" in there.notes)
        call.cancel()
        sending.cancel()
        took = await until(lambda: any(_is_end(note, do) for note in there.notes))
        assert took < 0.5
        await asyncio.wait([sending])


async def _send(call, count):
    for _ in range(count):
        await call.write(b"x" * 10_000)


def _is_end(note, do):
    """Tell whether a call ended; to one that reads, gRPC may show a caller's cancel as the end of the requests."""
    return note in (f"CancelledError {do}", f"GeneratorExit {do}") or (do == "echo" and note == "ended echo")


@pytest.mark.alone
@pytest.mark.parametrize(("method", "kind"), [(GENERATE, "unary_stream"), (GET_MODEL, "unary_unary")])
async def test_a_cancel_reaches_the_provider_in_calls_with_one_request(hop, there, method, kind):
    for _ in range(ROUNDS):
        there.notes.clear()
        call = getattr(hop, kind)(method)(b"", metadata=asking("wait"))
        await until(lambda: "begun wait" in there.notes)
        call.cancel()
        assert await until(lambda: any(_is_end(note, "wait") for note in there.notes)) < 0.5


@pytest.mark.alone
async def test_a_caller_that_goes_away_ends_all_its_calls(hop, there):
    for _ in range(ROUNDS):
        there.notes.clear()
        async with stock_channel(there.public) as other:
            calls = [other.stream_stream(TRANSFORM)(metadata=asking("hang")) for _ in range(10)]
            for call in calls:
                assert await call.read() == b"begun"
        assert await until(lambda: sum(_is_end(note, "hang") for note in there.notes) == 10) < 0.5


async def test_a_cancel_disturbs_no_other_call_of_the_same_connection(hop):
    call = hop.stream_stream(TRANSFORM)(metadata=asking())
    for number in range(ROUNDS):
        others = [hop.stream_stream(TRANSFORM)(metadata=asking("hang")) for _ in range(5)]
        for other in others:
            assert await other.read() == b"begun"
            other.cancel()
        await call.write(str(number).encode())
        assert await call.read() == str(number).encode()
    await call.done_writing()
    assert await call.code() is grpc.StatusCode.OK


class CancellingServer(grpc.GenericRpcHandler):
    """A provider on grpcio's threads that resets each call: `context.cancel()` sends RST_STREAM and no trailers."""

    def __init__(self, after: int) -> None:
        self._after = after
        self.ended = threading.Semaphore(0)

    def service(self, handler_call_details):
        return grpc.stream_stream_rpc_method_handler(self._serve)

    def _serve(self, requests, context):
        context.add_callback(self.ended.release)
        for number, message in enumerate(requests):
            if number == self._after:
                context.cancel()
                return
            yield message


@pytest.mark.parametrize("after", [0, 3])
async def test_a_provider_that_gives_up_ends_the_call_of_the_caller_at_once(short_dir, after):
    here = Here(short_dir, tcp=True)
    port = free_port()
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((CancellingServer(after),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        async with here.running(), here.registered(f"127.0.0.1:{port}"), stock_channel(here.public) as channel:
            for _ in range(ROUNDS):
                call = channel.stream_stream(TRANSFORM)(metadata=asking())
                for number in range(after):
                    await call.write(str(number).encode())
                    assert await call.read() == str(number).encode()
                await call.write(b"the last one")
                code = await asyncio.wait_for(call.code(), 1)
                assert code in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)
    finally:
        server.stop(0)
