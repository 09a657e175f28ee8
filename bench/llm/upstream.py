"""The fast upstream of the measurements: a process that answers as OpenAI does and does nothing else.

Run as a process: python -m bench.llm.upstream --port 8000
"""

from __future__ import annotations

import argparse
import asyncio
from typing import cast

import uvloop

from bench.llm.answers import BEGINNING, ENDING, HEAD, MODELS, PLAIN, TOGETHER, Wanted, stamped

HIGH_WATER_BYTES = 128 * 1024
PIECE = b"".join(PLAIN)


class Answering(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._data = b""
        self._may_write = True
        self._left = 0
        self._number = 0
        self._pause = 0.0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own
        self._left = 0
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, gap, body = self._data.partition(b"\r\n\r\n")
        if not gap:
            return
        if head.startswith(b"GET"):
            length = b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(MODELS)
            self._data = b""
            self._transport.write(b"HTTP/1.1 200 OK\r\n" + length + MODELS)
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._data = b""
        self._answer(Wanted.of(body))

    def pause_writing(self) -> None:
        self._may_write = False

    def resume_writing(self) -> None:
        self._may_write = True
        self._loop.call_soon(self._flow)

    def _answer(self, wanted: Wanted) -> None:
        self._left, self._number = wanted.tokens, 0
        self._transport.write(HEAD + BEGINNING)
        if wanted.rate:
            self._pause, self._due = 1 / wanted.rate, self._loop.time()
            self._tick()
        else:
            self._pause = 0.0
            self._flow()

    def _flow(self) -> None:
        """Write until no more is taken."""
        while self._left and self._may_write and not self._pause:
            count = min(self._left, TOGETHER)
            self._left -= count
            piece = PIECE if count == TOGETHER else b"".join(PLAIN[:count])
            self._transport.write(piece if self._left else piece + ENDING)

    def _tick(self) -> None:
        """Write one token; it is late rather than left out when this process is busy."""
        self._left -= 1
        self._transport.write(stamped(self._number) if self._left else stamped(self._number) + ENDING)
        self._number += 1
        if self._left:
            self._due += self._pause
            self._timer = self._loop.call_at(self._due, self._tick)


async def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
