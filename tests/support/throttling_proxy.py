"""A TCP proxy through which answers come slowly, as over a thin line."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_PIECE = 65536
_STEP_SECONDS = 0.02


class ThrottlingProxy:
    """Passes bytes between clients and a server; what the server sends goes at `rate` bytes a second in all.

    The rate may be changed at any time: None is as fast as can be, 0 is a line on which nothing moves.
    """

    def __init__(self, target_port: int, rate: float | None = None) -> None:
        self._target = target_port
        self.rate = rate
        self.returned = 0
        self._free_at = 0.0
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Cut every connection now."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[int]:
        """Give the port to connect to."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, up_writer}
        up = self._pass(reader, up_writer, slowly=False)
        await asyncio.gather(up, self._pass(up_reader, writer, slowly=True))
        self._writers -= {writer, up_writer}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slowly: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_PIECE):
                if slowly:
                    await self._take_turn(len(data))
                    self.returned += len(data)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _take_turn(self, size: int) -> None:
        """Wait until `size` bytes may go; whoever comes later waits longer."""
        loop = asyncio.get_running_loop()
        left = float(size)
        while left > 0 and self.rate is not None:
            await asyncio.sleep(max(_STEP_SECONDS, self._free_at - loop.time()))
            if self.rate:
                step = min(left, self.rate * _STEP_SECONDS * 2)
                self._free_at = max(loop.time(), self._free_at) + step / self.rate
                left -= step
