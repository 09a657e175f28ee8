"""Stands between a relay and control, passes everything both ways, and keeps what the relay reports of itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import asynccontextmanager


class RoutesTap:
    """Reads the levels that a relay reports once a second.

    Args:
        listen: path of the Unix socket that the relay follows.
        routes: path of the one that control serves.
    """

    def __init__(self, listen: str, routes: str) -> None:
        self._listen = listen
        self._routes = routes
        self._came = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self.gauges: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    @asynccontextmanager
    async def running(self):
        server = await asyncio.start_unix_server(self._serve, self._listen, limit=1 << 26)
        try:
            yield self
        finally:
            server.close()
            for writer in self._writers:
                writer.close()
            await asyncio.gather(*self._serving)

    async def report(self) -> dict[str, float]:
        """Wait for the next report but one, which is of now; give its levels."""
        for _ in range(2):
            self._came.clear()
            await asyncio.wait_for(self._came.wait(), 5)
        return self.gauges

    async def _serve(self, reader, writer) -> None:
        self._serving.add(asyncio.current_task())
        self._writers.add(writer)
        try:
            control_reader, control_writer = await asyncio.open_unix_connection(self._routes, limit=1 << 26)
        except OSError:
            writer.close()
            return
        self._writers.add(control_writer)
        await asyncio.gather(self._pass_down(control_reader, writer), self._pass_up(reader, control_writer))

    async def _pass_down(self, reader, writer) -> None:
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                writer.write(line)
                await writer.drain()
        await self._end(writer)

    async def _pass_up(self, reader, writer) -> None:
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                self._take(json.loads(line))
                writer.write(line)
                await writer.drain()
        await self._end(writer)

    async def _end(self, writer) -> None:
        with contextlib.suppress(OSError):
            writer.close()
            await writer.wait_closed()

    def _take(self, report) -> None:
        self.gauges = report["gauges"]
        for name, count in report["counts"].items():
            self.counts[name] = self.counts.get(name, 0) + count
        self._came.set()
