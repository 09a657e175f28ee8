"""A TCP proxy that cuts connections, as networks do."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager, closing


class CuttingProxy:
    """Passes bytes between clients and a server; cuts everything once after so many bytes went to the server."""

    def __init__(self, target: str, cut_after: int) -> None:
        self.target = target
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._left = cut_after
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: list[asyncio.Task[None]] = []
        self.cuts = 0
        self.passed = 0
        self.returned = 0

    async def _pass(self, reader, writer, *, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
                if not counts:
                    self.returned += len(data)
                else:
                    self.passed += len(data)
                    if not self.cuts and self.passed > self._left:
                        self.cut()
        writer.close()

    def cut(self) -> None:
        self.cuts += 1
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def _accept(self, reader, writer) -> None:
        self._serving.append(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader, writer) -> None:
        with closing(writer):
            try:
                up_reader, up_writer = await asyncio.open_connection(self._host, self._port)
            except OSError:
                return
            with closing(up_writer):
                self._writers |= {writer, up_writer}
                up = self._pass(reader, up_writer, counts=True)
                await asyncio.gather(up, self._pass(up_reader, writer, counts=False))

    @asynccontextmanager
    async def running(self):
        """Give the address to connect to."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task in self._serving:
                task.cancel()
            ended = await asyncio.gather(*self._serving, return_exceptions=True)
            for writer in self._writers:
                writer.transport.abort()
        assert not [one for one in ended if isinstance(one, Exception)], ended
