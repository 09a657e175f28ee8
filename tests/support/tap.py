"""A TCP relay that notes when its clients close their connections."""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import asynccontextmanager


class Tap:
    """Passes bytes to a server and back.

    Attributes:
        open: connections of clients.
        closed: when (monotonic) clients closed connections, or began to.
        sent: bytes that clients sent.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._tasks: set[asyncio.Task[None]] = set()
        self.open = 0
        self.closed: list[float] = []
        self.sent = 0

    async def _accept(self, reader, writer) -> None:
        self._tasks.add(asyncio.current_task())
        self.open += 1
        try:
            there, back = await asyncio.open_connection(*self._target)
            try:
                await asyncio.gather(self._pour(reader, back, mine=True), self._pour(there, writer, mine=False))
            finally:
                back.close()
        finally:
            self.open -= 1
            writer.close()
            self._tasks.discard(asyncio.current_task())

    async def _pour(self, reader, writer, *, mine: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self.sent += len(data) * mine
                writer.write(data)
                await writer.drain()
        if mine:
            self.closed.append(time.monotonic())
        writer.close()

    @asynccontextmanager
    async def running(self):
        """Give its address."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
