"""The process that makes the measured calls, as cheaply as Python can: grpc.aio on uvloop, serialised bytes only.

It reads one JSON object a line, {"case": name, "address": where, ...sizes}, makes the calls, and answers with one line:
{"value": the figure, "work": how much was moved, ...}. Run as a process: python -m bench.client
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import uvloop

from automarket.rpc.streams import EOF
from bench import inputs, messages, serving
from bench.messages import METADATA
from bench.serving import Result, expect, percentile_of_times

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
TOKEN = "Bearer " + "abcdefgh" * 20
UNARY_SECONDS = 30.0

CHUNK = messages.chunk_message()
STAMPS = messages.Stamps()


class Load:
    """Makes the calls of every case over channels that stay open from round to round."""

    def __init__(self) -> None:
        self._channels: dict[tuple[str, int], grpc.aio.Channel] = {}

    async def close(self) -> None:
        """Close all channels."""
        while self._channels:
            await self._channels.popitem()[1].close()

    async def ready(self, address: str) -> Result:
        """Wait until calls get through."""
        deadline = time.monotonic() + 20
        while True:
            try:
                await self._unary(address)(messages.get_model_request(), metadata=METADATA, wait_for_ready=True)
            except grpc.aio.AioRpcError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)
            else:
                return {"value": 1, "work": 1}

    async def up(self, address: str, mebibytes: int) -> Result:
        """Send chunks of 1 MiB in one call; the value is MiB a second."""
        call = self._transform(address)
        begin = time.perf_counter()
        await call.write(messages.header_message())
        await call.initial_metadata()
        for _ in range(mebibytes):
            await call.write(CHUNK)
        await call.done_writing()
        await _read_all(call)
        return {"value": mebibytes / (time.perf_counter() - begin), "work": mebibytes / 1024}

    async def down(self, address: str, mebibytes: int) -> Result:
        """Receive chunks of 1 MiB in one call; the value is MiB a second."""
        call = self._transform(address)
        begin = time.perf_counter()
        await _ask(call, chunks=mebibytes)
        count = await _read_all(call) - 1
        expect(count, mebibytes, "messages")
        return {"value": mebibytes / (time.perf_counter() - begin), "work": mebibytes / 1024}

    async def flat_out(self, address: str, streams: int, count: int) -> Result:
        """Receive small messages on many streams as fast as they come; the value is messages a second."""

        async def one() -> None:
            call = self._transform(address)
            await _ask(call, tokens=count)
            expect(await _read_all(call) - 1, count, "messages")

        begin = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(streams)))
        return {"value": streams * count / (time.perf_counter() - begin), "work": streams * count}

    async def paced(self, address: str, streams: int, rate: int, seconds: float, channels: int = 1) -> Result:
        """Receive small messages on many streams at a fixed rate; the value is the median delay in milliseconds.

        A delay counts from when all streams are open; what was lost or came out of order counts always.
        """
        calls = [self._transform(address, number % channels) for number in range(streams)]
        count = int(rate * seconds)
        await asyncio.gather(*(_ask(call, tokens=count, rate=rate) for call in calls))
        await asyncio.gather(*(call.initial_metadata() for call in calls))
        opened = time.monotonic_ns()
        received = await asyncio.gather(*(_read_stamped(call) for call in calls))
        delays = sorted(at - sent for stream in received for at, sent, _ in stream if sent >= opened)
        numbers = [[number for _, _, number in stream] for stream in received]
        return {
            "value": percentile_of_times(delays, 50),
            "p99": percentile_of_times(delays, 99),
            "work": sum(map(len, numbers)),
            "lost": sum(count - len(set(stream)) for stream in numbers),
            "reordered": sum(b <= a for stream in numbers for a, b in itertools.pairwise(stream)),
        }

    async def unary(self, address: str, count: int) -> Result:
        """Make calls one after another, each with deadline, trace and token; the value is the median in ms."""
        call, request = self._unary(address), messages.get_model_request()
        times: list[int] = []
        for _ in range(count):
            trace = f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"
            metadata = (*METADATA, ("traceparent", trace), ("authorization", TOKEN))
            begin = time.perf_counter_ns()
            await call(request, metadata=metadata, timeout=UNARY_SECONDS)
            times.append(time.perf_counter_ns() - begin)
        times.sort()
        return {"value": percentile_of_times(times, 50), "p99": percentile_of_times(times, 99), "work": count}

    async def by_digest(self, address: str, digest: str, *, read: bool) -> Result:
        """Give a provider an input by its digest; the value is seconds."""
        begin = self._channel(address).stream_stream(messages.TRANSFORM)
        return {"value": await inputs.by_digest(begin, digest, read=read)}

    async def as_chunks(self, address: str, path: str, *, read: bool) -> Result:
        """Send a provider a file; the value is seconds."""
        begin = self._channel(address).stream_stream(messages.TRANSFORM)
        return {"value": await inputs.as_chunks(begin, path, read=read)}

    def _channel(self, address: str, number: int = 0) -> Any:
        key = address, number
        if key not in self._channels:
            self._channels[key] = grpc.aio.insecure_channel(address, options=OPTIONS)
        return self._channels[key]

    def _transform(self, address: str, number: int = 0) -> Any:
        return self._channel(address, number).stream_stream(messages.TRANSFORM)(metadata=METADATA)

    def _unary(self, address: str) -> Any:
        return self._channel(address).unary_unary(messages.GET_MODEL)


async def _ask(call: Any, **wanted: float) -> None:
    await call.write(messages.header_message(**wanted))
    await call.done_writing()


async def _read_all(call: Any) -> int:
    """Give how many messages came."""
    read: Callable[[], Awaitable[Any]] = call.read
    count = 0
    while await read() is not EOF:
        count += 1
    await _expect_ok(call)
    return count


async def _read_stamped(call: Any) -> list[tuple[int, int, int]]:
    """Give for each stamped message when it came, when it was sent, and its number."""
    read: Callable[[], Awaitable[Any]] = call.read
    raw: list[tuple[int, bytes]] = []
    while (message := await read()) is not EOF:
        raw.append((time.monotonic_ns(), message))
    await _expect_ok(call)
    return [(at, *STAMPS.read(message)) for at, message in raw[:-1]]  # the last one says "finished"


async def _expect_ok(call: Any) -> None:
    if (code := await call.code()) != grpc.StatusCode.OK:
        raise RuntimeError(f"{code.name}: {await call.details()}")


async def serve() -> None:
    """Do what the lines on standard input say, one after another."""
    load = Load()
    cases: dict[str, Callable[..., Coroutine[Any, Any, Result]]] = {
        "ready": load.ready,
        "up": load.up,
        "down": load.down,
        "flat-out": load.flat_out,
        "paced": load.paced,
        "unary": load.unary,
        "by-digest": load.by_digest,
        "as-chunks": load.as_chunks,
    }
    await serving.serve(cases, (grpc.RpcError, RuntimeError))
    await load.close()


if __name__ == "__main__":
    uvloop.run(serve())
