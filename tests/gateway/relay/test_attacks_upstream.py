"""Providers that break HTTP/2 or gRPC: their callers get a status that says so, and nobody else notices."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc.aio
import pytest

from automarket.errors import AutoMarketError, DeadlineExceeded, ProviderLost, UnavailableError
from automarket.rpc.channel import open_channel
from automarket.v1 import registry_service_pb2
from automarket.v1.registry_service_pb2_grpc import RegistryServiceStub
from tests.support import h2
from tests.support.gateway import chunk, header, transform, until
from tests.support.h2 import RawServer, Verdict, raw_client
from tests.support.peer import registration

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.slow

ANSWER = h2.block([(b":status", b"200"), (b"content-type", b"application/grpc")])
FINE = h2.literal(b"grpc-status", b"0")
ALL = h2.block([(b":status", b"200"), (b"content-type", b"application/grpc"), (b"grpc-status", b"0")])


@asynccontextmanager
async def hostile(gateway, act: Callable[[h2.RawEnd], Awaitable[None]], *first: bytes, **fields):
    """Run a raw server that control knows as a provider; give its name, and the server."""
    name = f"foe-{uuid.uuid4().hex[:8]}"
    server = RawServer(f"unix:{gateway.folder}/{name}.sock", act, *first)
    described = registration(name, server.address, instance_id=f"{name}-1", **fields)
    async with server.running(), open_channel(gateway.control) as channel:
        call = RegistryServiceStub(channel).Register()
        await call.write(registry_service_pb2.RegisterRequest(registration=described))
        assert await call.read() is not grpc.aio.EOF
        try:
            await known(gateway, name)
            async with open_channel(gateway.public) as public:
                yield name, server, public
        finally:
            call.cancel()


async def called(public, name: str, *, timeout: float = 10, chunks=None):
    """Call the provider."""
    return await transform(public, header(provider=name), timeout=timeout, chunks=chunks)


async def known(gateway, name: str) -> None:
    """Wait until the gateway has heard of a provider: its health service knows every provider by name."""
    asked = h2.message(b"\x0a" + bytes((len(name),)) + name.encode())
    async with raw_client(gateway.public) as client:
        while True:
            stream_id = await client.call(h2.request("/grpc.health.v1.Health/Check"), asked, end=True)
            block, _ = await client.answered(stream_id)
            if block.get(b"grpc-status") == b"0":
                return


def to(name: str) -> h2.Fields:
    """Give the fields of a request to a provider."""
    return h2.request(h2.MODELS + "Transform", (b"automarket-provider", name.encode()))


async def first_request(end: h2.RawEnd) -> int:
    """Wait for the first call; give the id of its stream."""
    await end.until(lambda: end.blocks, 30, "a request")
    return end.blocks[0].stream_id


@dataclass(frozen=True, slots=True)
class Foe:
    """What a provider answers its first call with, N standing for the id of its stream; then it may hang up."""

    answer: Callable[[int], bytes]
    hangs_up: bool = False


FOES = {
    "PUSH_PROMISE": Foe(lambda n: h2.frame(h2.PUSH_PROMISE, h2.END_HEADERS, n, b"\0\0\0\x02" + ANSWER)),
    "PUSH_PROMISE after an answer": Foe(
        lambda n: h2.headers(n, ANSWER) + h2.frame(h2.PUSH_PROMISE, h2.END_HEADERS, n, b"\0\0\0\x02" + ANSWER)
    ),
    "GOAWAY that takes no stream, then nothing": Foe(lambda n: h2.goaway(0, h2.INTERNAL_ERROR), hangs_up=True),
    "GOAWAY and the end, in the middle of an answer": Foe(
        lambda n: h2.headers(n, ANSWER) + h2.data(n, b"\0\0") + h2.goaway(n, h2.INTERNAL_ERROR), hangs_up=True
    ),
    "noise": Foe(lambda n: bytes(range(256)) * 10),
    "HTTP/1.1": Foe(lambda n: b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", hangs_up=True),
    "DATA before HEADERS": Foe(lambda n: h2.data(n, h2.message(b""))),
    "DATA before HEADERS that ends the stream": Foe(lambda n: h2.data(n, h2.message(b""), end=True)),
    "RST_STREAM": Foe(lambda n: h2.reset(n, h2.INTERNAL_ERROR)),
    "RST_STREAM with no error": Foe(lambda n: h2.reset(n, h2.NO_ERROR)),
    "RST_STREAM that cancels": Foe(lambda n: h2.reset(n, h2.CANCEL)),
    "RST_STREAM after an answer": Foe(lambda n: h2.headers(n, ANSWER) + h2.reset(n, h2.INTERNAL_ERROR)),
    "RST_STREAM of a code that nobody knows": Foe(lambda n: h2.reset(n, 0xFFFFFFFF)),
    "RST_STREAM of streams that were never opened": Foe(lambda n: h2.reset(n + 2)),
    "a storm of RST_STREAM": Foe(lambda n: h2.reset(n) * 5000),
    "a frame of over 16,384 bytes": Foe(lambda n: h2.headers(n, ANSWER) + h2.data(n, bytes(16385))),
    "a frame that says it is 16 MiB long": Foe(lambda n: h2.frame(h2.DATA, 0, n, bytes(100), length=2**24 - 1)),
    "an end without trailers": Foe(lambda n: h2.headers(n, ANSWER) + h2.data(n, b"", end=True)),
    "an end with its answer and no status": Foe(lambda n: h2.headers(n, ANSWER, end=True)),
    "trailers that do not end the stream": Foe(lambda n: h2.headers(n, ANSWER) + h2.headers(n, FINE)),
    "trailers without an answer": Foe(lambda n: h2.headers(n, FINE, end=True)),
    "an answer without :status": Foe(lambda n: h2.headers(n, h2.literal(b"content-type", b"application/grpc"))),
    "a :status of letters": Foe(lambda n: h2.headers(n, h2.literal(b":status", b"two"))),
    "an HTTP error": Foe(lambda n: h2.headers(n, h2.literal(b":status", b"503"), end=True)),
    "an answer in HTML": Foe(
        lambda n: (
            h2.headers(n, h2.block([(b":status", b"200"), (b"content-type", b"text/html")]))
            + h2.data(n, b"<html>", end=True)
        )
    ),
    "a name in capitals": Foe(lambda n: h2.headers(n, ANSWER + h2.literal(b"X-Name", b"y"))),
    "a value with a line end": Foe(lambda n: h2.headers(n, ANSWER + h2.literal(b"x", b"y\r\nz"))),
    "a block that cannot be read": Foe(lambda n: h2.headers(n, ANSWER + b"\xbf\xff")),
    "a header list above 16 KiB": Foe(
        lambda n: (
            h2.headers(n, ANSWER + h2.literal(b"x", b"y" * 15000), end_headers=False)
            + h2.frame(h2.CONTINUATION, h2.END_HEADERS, n, h2.literal(b"x", b"y" * 15000))
        )
    ),
    "a block that does not end": Foe(
        lambda n: h2.headers(n, ANSWER, end_headers=False) + h2.frame(h2.CONTINUATION, 0, n, b"\0\1x\1y" * 10) * 1000
    ),
    "CONTINUATION of nothing": Foe(lambda n: h2.frame(h2.CONTINUATION, h2.END_HEADERS, n, ANSWER)),
    "HEADERS on a stream that was never opened": Foe(lambda n: h2.headers(n + 2, ANSWER)),
    "HEADERS on an even stream": Foe(lambda n: h2.headers(2, ANSWER)),
    "DATA on the connection": Foe(lambda n: h2.data(0, b"x")),
    "DATA on a stream that was never opened": Foe(lambda n: h2.data(n + 2, b"x")),
    "a stream's window beyond the largest": Foe(lambda n: h2.window_update(n, 2**31 - 1)),
    "a connection's window beyond the largest": Foe(lambda n: h2.window_update(0, 2**31 - 1)),
    "a connection's window grown by nothing": Foe(lambda n: h2.window_update(0, 0)),
    "settings that make windows overflow": Foe(
        lambda n: h2.window_update(n, 2**30) + h2.settings((h2.INITIAL_WINDOW_SIZE, 2**31 - 1))
    ),
    "a flood of SETTINGS": Foe(lambda n: h2.settings() * 5000),
    "a flood of PING": Foe(lambda n: h2.ping() * 5000),
    "a flood of empty DATA": Foe(lambda n: h2.headers(n, ANSWER) + h2.data(n, b"") * 5000),
    "the end inside a frame": Foe(lambda n: h2.headers(n, ANSWER) + h2.data(n, bytes(1000))[:100], hangs_up=True),
    "the end inside a message": Foe(
        lambda n: h2.headers(n, ANSWER) + h2.data(n, h2.message(bytes(1000))[:100]), hangs_up=True
    ),
    "the end inside a header block": Foe(lambda n: h2.headers(n, ANSWER, end_headers=False), hangs_up=True),
    "the end at once": Foe(lambda n: b"", hangs_up=True),
}


@pytest.mark.parametrize("foe", FOES.values(), ids=FOES)
async def test_a_provider_that_breaks_the_rules_gives_its_caller_a_status(unharmed, foe):
    async def act(end: h2.RawEnd) -> None:
        await end.send(foe.answer(await first_request(end)))
        if foe.hangs_up:
            await end.close()

    async with hostile(unharmed, act) as (name, _, public):
        begin = time.monotonic()
        with pytest.raises(AutoMarketError) as caught:
            await called(public, name)
        assert time.monotonic() - begin < 8
        assert not isinstance(caught.value, DeadlineExceeded)
        assert isinstance(caught.value, UnavailableError) or caught.value.reason in (
            "UNKNOWN",
            "INTERNAL",
            "INTERNAL_FAULT",
        )
        if isinstance(caught.value, ProviderLost):
            assert caught.value.metadata["provider"] == name


async def test_a_provider_that_never_answers_is_cut_off_by_the_deadline(unharmed):
    async with hostile(unharmed, first_request) as (name, server, public):
        begin = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            await called(public, name, timeout=2)
        assert time.monotonic() - begin < 4
        end = server.ends[-1]
        await end.until(lambda: end.all_of(h2.RstStreamFrame), 5, "the end of the call at the provider")


async def test_a_provider_that_accepts_and_says_nothing_at_all_is_cut_off(unharmed):
    """No SETTINGS, nothing: the call ends by its deadline or before."""

    async def act(end: h2.RawEnd) -> None:
        del end

    async with hostile(unharmed, act, b"\0") as (name, _, public):
        with pytest.raises(AutoMarketError) as caught:
            await called(public, name, timeout=3)
        assert isinstance(caught.value, UnavailableError | DeadlineExceeded)


async def chunks(count: int, size: int):
    for number in range(count):
        yield chunk(bytes(size), number * size)


async def _finish_when_all_came(end: h2.RawEnd) -> None:
    """Answer at once, take all, then end every call well."""
    answered = 0
    while True:
        await end.until(lambda number=answered: len(end.blocks) > number, 60, "a request")
        stream_id = end.blocks[answered].stream_id
        answered += 1
        await end.send(h2.headers(stream_id, ANSWER))
        await end.until(lambda stream_id=stream_id: stream_id in end.ended, 60, "the whole request")
        await end.send(h2.headers(stream_id, FINE, end=True))


@pytest.mark.parametrize("window", [1, 7, 1000])
async def test_a_provider_with_tiny_windows_gets_every_byte(unharmed, window):
    size = 200 if window < 1000 else 50_000
    first = h2.settings((h2.INITIAL_WINDOW_SIZE, window))
    async with hostile(unharmed, _finish_when_all_came, first) as (name, server, public):
        await called(public, name, chunks=chunks(2, size), timeout=30)
        end = server.ends[-1]
        frames = [one for one in end.all_of(h2.DataFrame) if one.data]
        assert max(len(one.data) for one in frames) <= window or end.all_of(h2.SettingsFrame)
        assert sum(len(one.data) for one in frames) > 2 * size


async def test_data_beyond_the_window_of_a_call_ends_that_call(unharmed):
    """The client takes nothing, so that the window cannot grow."""

    async def act(end: h2.RawEnd) -> None:
        stream_id = await first_request(end)
        await end.send(h2.headers(stream_id, ANSWER), h2.data(stream_id, h2.message(bytes(16000))) * 30)

    shut = h2.settings((h2.INITIAL_WINDOW_SIZE, 0))
    async with hostile(unharmed, act) as (name, server, _), raw_client(unharmed.public, shut) as client:
        await client.call(to(name), h2.message(), end=True)
        await until(lambda: server.ends, what="a connection to the provider")
        stream_id = await first_request(server.ends[-1])
        assert await server.ends[-1].judged(stream_id) == Verdict("reset", h2.FLOW_CONTROL_ERROR)


async def test_a_provider_that_takes_one_call_at_a_time_is_called_over_as_many_connections(unharmed):
    async def act(end: h2.RawEnd) -> None:
        done = number = 0
        while True:
            await end.until(lambda number=number: len(end.blocks) > number, 60, "a request")
            stream_id = end.blocks[number].stream_id
            number += 1
            if number > done + 1:
                await end.send(h2.reset(stream_id, h2.REFUSED_STREAM))
                continue
            await end.send(h2.headers(stream_id, ANSWER))
            await end.until(lambda stream_id=stream_id: stream_id in end.ended, 60, "the whole request")
            await end.send(h2.headers(stream_id, FINE, end=True))
            done = number

    first = h2.settings((h2.MAX_CONCURRENT_STREAMS, 1))
    async with hostile(unharmed, act, first) as (name, _, public):
        await called(public, name)
        await asyncio.gather(*(called(public, name, chunks=chunks(3, 1000), timeout=30) for _ in range(8)))


async def test_padded_frames_from_a_provider_are_stripped_and_arrive(unharmed):
    event = header("echo").SerializeToString()[:0]

    async def act(end: h2.RawEnd) -> None:
        stream_id = await first_request(end)
        await end.send(
            h2.padded(h2.HEADERS, h2.END_HEADERS, stream_id, ANSWER, 20),
            h2.padded(h2.DATA, 0, stream_id, h2.message(event), 255),
            h2.padded(h2.DATA, 0, stream_id, h2.message(event), 0),
            h2.padded(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, stream_id, FINE, 9),
        )

    async with hostile(unharmed, act) as (name, _, public):
        assert len(await called(public, name)) == 2


async def test_a_provider_that_says_goaway_finishes_its_calls_and_gets_no_new_ones_there(unharmed):
    gone: list[h2.RawEnd] = []

    async def act(end: h2.RawEnd) -> None:
        stream_id = await first_request(end)
        await end.send(h2.headers(stream_id, ANSWER), h2.goaway(stream_id))
        await end.until(lambda: stream_id in end.ended, 60, "the whole request")
        await end.send(h2.headers(stream_id, FINE, end=True))
        gone.append(end)

    async with hostile(unharmed, act) as (name, server, public):
        for _ in range(3):
            await called(public, name, chunks=chunks(2, 1000))
        assert len(gone) == len(server.ends) == 3
        assert all(len({one.stream_id for one in end.blocks}) == 1 for end in gone)


async def test_a_call_that_a_provider_refuses_unseen_is_made_again_on_a_connection_of_its_own(unharmed):
    refused = 0

    async def act(end: h2.RawEnd) -> None:
        nonlocal refused
        stream_id = await first_request(end)
        if not refused:
            refused += 1
            await end.send(h2.goaway(0))
            await end.gone(10)
            return
        await end.send(h2.headers(stream_id, ALL, end=True))

    async with hostile(unharmed, act) as (name, _, public):
        await called(public, name)
        assert refused == 1


async def test_informational_answers_are_not_the_answer(unharmed):
    async def act(end: h2.RawEnd) -> None:
        stream_id = await first_request(end)
        early = h2.headers(stream_id, h2.literal(b":status", b"103"))
        await end.send(early * 3, h2.headers(stream_id, ALL, end=True))

    async with hostile(unharmed, act) as (name, _, public):
        assert await called(public, name) == []


async def test_a_message_of_a_status_with_spaces_around_it_arrives(unharmed):
    """gRPC percent-encodes much of a message, and not its spaces."""
    trailers = h2.block([(b":status", b"200"), (b"content-type", b"application/grpc"), (b"grpc-status", b"9")])

    async def act(end: h2.RawEnd) -> None:
        stream_id = await first_request(end)
        await end.send(h2.headers(stream_id, trailers + h2.literal(b"grpc-message", b"no key: "), end=True))

    async with hostile(unharmed, act) as (name, _, public):
        with pytest.raises(AutoMarketError, match="no key"):
            await called(public, name)


async def test_bytes_sent_one_by_one_to_a_provider_that_does_not_read_cost_little_memory(unharmed):
    """Whoever keeps a frame of one byte keeps far more than one byte."""

    async def act(end: h2.RawEnd) -> None:
        await first_request(end)

    async with hostile(unharmed, act, h2.settings((h2.INITIAL_WINDOW_SIZE, 0))) as (name, server, _):
        resident = unharmed.mebibytes("gateway")
        async with raw_client(unharmed.public) as client:
            ids = [await client.call(to(name), h2.message(bytes(3 << 20))[:5]) for _ in range(16)]
            await until(lambda: server.ends, what="a connection to the provider")
            for _ in range(10):
                for stream_id in ids:
                    await client.send(h2.data(stream_id, b"\0") * 3000)
            await client.sync()
            assert unharmed.mebibytes("gateway") - resident < 40


@pytest.mark.alone
async def test_bytes_sent_one_by_one_without_a_pause_keep_nobody_else_waiting(unharmed):
    """A connection that always has more to read is not read for as long as it has."""

    async def act(end: h2.RawEnd) -> None:
        await first_request(end)

    async def flood(client: h2.RawEnd) -> None:
        ids = [await client.call(to(name), h2.message(bytes(3 << 20))[:5]) for _ in range(16)]
        for _ in range(20):
            for stream_id in ids:
                await client.send(h2.data(stream_id, b"\0") * 3000)
        await client.sync()

    shut = h2.settings((h2.INITIAL_WINDOW_SIZE, 0))
    async with hostile(unharmed, act, shut) as (name, _, _), raw_client(unharmed.public) as friend:
        waits: list[float] = []
        async with raw_client(unharmed.public) as foe:
            flooding = asyncio.create_task(flood(foe))
            while not flooding.done():
                begin = time.monotonic()
                await friend.sync()
                waits.append(time.monotonic() - begin)
            await flooding
        assert len(waits) > 20
        assert max(waits) < 0.5


async def test_a_provider_that_shuts_its_window_below_nothing_gets_the_end_of_a_request_all_the_same(unharmed):
    """An empty frame needs no window, and no window is not a window of fewer bytes than none."""

    async def act(end: h2.RawEnd) -> None:
        end.credits = False
        stream_id = await first_request(end)
        await end.until(lambda: len(end.received.get(stream_id, b"")) >= 5000, what="the first part")
        await end.send(h2.settings((h2.INITIAL_WINDOW_SIZE, 0)), h2.headers(stream_id, ANSWER))
        await end.until(lambda: stream_id in end.ended, what="the end of the request")
        await end.send(h2.headers(stream_id, FINE, end=True))

    async with hostile(unharmed, act) as (name, _, _), raw_client(unharmed.public) as client:
        stream_id = await client.call(to(name), h2.message(bytes(4995)))
        await client.until(lambda: client.block_of(stream_id), what="the head of the answer")
        await client.send(h2.data(stream_id, b"", end=True))
        assert await client.judged(stream_id) == Verdict("status", 0)
