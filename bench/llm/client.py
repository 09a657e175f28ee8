"""The process that asks, as cheaply as Python can: plain sockets on uvloop, nothing taken apart on the way.

It reads one JSON object a line, {"case": name, "address": where, "way": "grpc" or "http", ...sizes}, and answers with
one line. Run as a process: python -m bench.llm.client
"""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from typing import TYPE_CHECKING, Any

import uvloop

from automarket.v1 import model_pb2, model_service_pb2, transform_pb2
from bench import serving
from bench.llm.answers import MODEL, STAMP, STAMP_BYTES, WORD, Wanted
from bench.llm.h2 import Calls
from bench.llm.plain_http import Connections, request_for
from bench.serving import Result, expect, percentile_of_times

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

GENERATE = "/automarket.v1.ModelService/Generate"
METADATA = (("automarket-model", MODEL),)
TARGET = model_pb2.Target(model=MODEL)
FIRST = WORD.encode()
SETTLE_SECONDS = 1.0
CONNECTIONS = 4  # that calls of the mesh share, as those of one program do

Pieces = list[tuple[int, bytes]]


class Load:
    """Asks over connections that stay open from round to round."""

    def __init__(self) -> None:
        self._meshes: dict[tuple[str, int], Calls] = {}
        self._plain: dict[str, Connections] = {}

    def close(self) -> None:
        """Close all connections."""
        for one in (*self._plain.values(), *self._meshes.values()):
            one.close()

    async def ready(self, address: str, way: str) -> Result:
        """Wait until questions are answered."""
        deadline = time.monotonic() + 90
        while True:
            try:
                await self._ask(address, way, Wanted(1), 1)
            except (OSError, RuntimeError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)
            else:
                return {"value": 1, "work": 1}

    async def flat_out(self, address: str, way: str, streams: int, tokens: int) -> Result:
        """Have answers come as fast as they can; the value is tokens a second."""
        begin = time.monotonic_ns()
        heard = await self._ask(address, way, Wanted(tokens), streams)
        seconds = (max(pieces[-1][0] for pieces in heard) - begin) / 1e9
        for pieces in heard:
            expect(b"".join(data for _, data in pieces).count(FIRST), tokens, "tokens")
        return {"value": streams * tokens / seconds, "work": streams * tokens, "events": sum(map(len, heard))}

    async def first(self, address: str, way: str, count: int) -> Result:
        """Ask one question after another; the value is the median time to the first token in milliseconds."""
        times: list[int] = []
        for _ in range(count):
            begin = time.monotonic_ns()
            [pieces] = await self._ask(address, way, Wanted(4), 1)
            times.append(next(at for at, data in pieces if FIRST in data) - begin)
        times.sort()
        return {"value": percentile_of_times(times, 50), "p99": percentile_of_times(times, 99), "work": count}

    async def paced(self, address: str, way: str, streams: int, rate: int, tokens: int) -> Result:
        """Have answers come at a fixed rate; the value is the median of what was added to the gap between tokens.

        Gaps count from when all answers have begun, in ms; what was lost or out of order counts always.
        """
        heard = await self._ask(address, way, Wanted(tokens, rate), streams, spread=1 / rate)
        stamps = [_stamps(pieces) for pieces in heard]
        opened = max(stream[0][0] for stream in stamps if stream) + int(SETTLE_SECONDS * 1e9)
        gaps = sorted(
            (later - earlier) - (sent - sent_before)
            for stream in stamps
            for (earlier, sent_before, _), (later, sent, _) in itertools.pairwise(stream)
            if earlier >= opened
        )
        delays = sorted(at - sent for stream in stamps for at, sent, _ in stream if at >= opened)
        numbers = [[number for _, _, number in stream] for stream in stamps]
        return {
            "value": percentile_of_times(gaps, 50),
            "p99": percentile_of_times(gaps, 99),
            "delay": percentile_of_times(delays, 50),
            "delay_p99": percentile_of_times(delays, 99),
            "work": sum(map(len, numbers)),
            "lost": sum(tokens - len(set(stream)) for stream in numbers),
            "reordered": sum(b <= a for stream in numbers for a, b in itertools.pairwise(stream)),
        }

    async def _ask(self, address: str, way: str, wanted: Wanted, streams: int, *, spread: float = 0.0) -> list[Pieces]:
        """Ask so many questions at once, or evenly within `spread` seconds; give all that came."""
        if way == "http":
            connections = self._plain.setdefault(address, Connections(address))
            request = request_for(wanted, address)
            asking = [one.ask(request) for one in await connections.open(streams)]
        else:
            asking = [self._generate(address, wanted, number % CONNECTIONS) for number in range(streams)]
        return await asyncio.gather(*(_later(one, spread * n / streams) for n, one in enumerate(asking)))

    async def _generate(self, address: str, wanted: Wanted, number: int) -> Pieces:
        header = transform_pb2.TransformHeader(request_id=str(uuid.uuid4()))
        header.inputs.add(inline=str(wanted).encode(), media_type="text/plain")
        request = model_service_pb2.GenerateRequest(target=TARGET, header=header)
        calls = await self._calls(address, number)
        return await calls.call(GENERATE, request.SerializeToString(), METADATA)

    async def _calls(self, address: str, number: int) -> Calls:
        found = self._meshes.get((address, number))
        if found is None or found.is_closed:
            host, _, port = address.rpartition(":")
            _, found = await asyncio.get_running_loop().create_connection(Calls, host, int(port))
            self._meshes[address, number] = found
        return found


async def _later(asking: Coroutine[Any, Any, Pieces], seconds: float) -> Pieces:
    if seconds:
        await asyncio.sleep(seconds)
    return await asking


def _stamps(pieces: Pieces) -> list[tuple[int, int, int]]:
    """Give for each token when it came, when it was sent, and its number."""
    found: list[tuple[int, int, int]] = []
    rest = b""
    for at, piece in pieces:
        data = rest + piece
        end = 0
        for stamp in STAMP.finditer(data):
            found.append((at, int(stamp[1], 16), int(stamp[2], 16)))
            end = stamp.end()
        rest = data[end:][-STAMP_BYTES:]
    return found


async def serve() -> None:
    """Do what the lines on standard input say, one after another."""
    load = Load()
    cases: dict[str, Callable[..., Coroutine[Any, Any, Result]]] = {
        "ready": load.ready,
        "flat-out": load.flat_out,
        "first": load.first,
        "paced": load.paced,
    }
    await serving.serve(cases, (RuntimeError, OSError))
    load.close()


if __name__ == "__main__":
    uvloop.run(serve())
