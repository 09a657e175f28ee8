"""The data plane's end of the routing feed: keeps the newest table, and goes on with it while control is down.

The same connection takes what the data plane reports back to control.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from gateway.relay.table import TableCopy

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.relay.table import Table

log = logging.getLogger("automarket.gateway.feed")

MAX_LINE_BYTES = 64 * 1024 * 1024
RECONNECT_SECONDS = 0.1
RETRY_SECONDS = 1.0
MAX_UNSENT_BYTES = 1024 * 1024


class RoutingFeed:
    """Follows the routes socket of control.

    Args:
        path: the Unix socket's path.
        changed: called after every change, with the new table.
    """

    def __init__(self, path: str, changed: Callable[[Table], None] | None = None) -> None:
        self._path = path
        self._changed = changed
        self._task: asyncio.Task[None] | None = None
        self._copy = TableCopy()
        self._known = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self.connected = False

    @property
    def table(self) -> Table:
        """The newest table; empty before the first one came."""
        return self._copy.table

    async def until_known(self, seconds: float) -> None:
        """Wait for the first table, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._known.wait()

    def send(self, line: bytes) -> None:
        """Tell control something, when it is there and listens; otherwise it is lost."""
        writer = self._writer
        if writer is not None and writer.transport.get_write_buffer_size() + len(line) <= MAX_UNSENT_BYTES:
            writer.write(line)

    async def __aenter__(self) -> RoutingFeed:
        """Begin to follow."""
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(OSError, ValueError):
                await self._read()
            if self.connected:
                log.warning("control is gone; going on with the last table", extra={"version": self.table.version})
                self._copy.control_is_gone(RETRY_SECONDS)
            self.connected = False
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _read(self) -> None:
        reader, writer = await asyncio.open_unix_connection(self._path, limit=MAX_LINE_BYTES)
        self._writer = writer
        try:
            while line := await reader.readline():
                self._copy.apply(line)
                self.connected = True
                self._known.set()
                if self._changed is not None:
                    self._changed(self.table)
        finally:
            self._writer = None
            writer.close()
