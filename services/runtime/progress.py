"""The clock of a start: it runs only while nothing moves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.runtime.engine import Counters, Engine

_LOOK_SECONDS = 5.0
# A health check costs a container a little now and then, and so do our own questions: that is no progress. What they
# cost comes at once, so that it is spread over the time between two looks, however short that is.
_CORES, _RECEIVED_A_SECOND, _READ_A_SECOND = 0.1, 16 * 1024, 256 * 1024
_LINES = 5


class StartClock:
    """Measures how long a container has shown no progress: no new log line, no work, nothing fetched."""

    def __init__(self, engine: Engine, container: str, seconds: float) -> None:
        self._engine = engine
        self._container = container
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._moved = self._looked = self._loop.time()
        self._lines: tuple[str, ...] = ()
        self._counters: Counters | None = None
        self.expired = False
        """There was no progress for too long, as the last look has found."""

    def moved(self) -> None:
        """Count something as progress."""
        self._moved = self._loop.time()

    async def look(self) -> None:
        """Look for progress, if it is time to look again."""
        now = self._loop.time()
        if now - self._looked < min(_LOOK_SECONDS, self._seconds / 3):
            return
        lines = await self._engine.logs(self._container, _LINES)
        counters = await self._engine.counters(self._container)
        if lines != self._lines or self._works(counters, now - self._looked):
            self.moved()
        self._lines, self._counters, self._looked = lines, counters, now
        self.expired = now - self._moved >= self._seconds

    def _works(self, now: Counters, seconds: float) -> bool:
        before = self._counters
        return before is not None and (
            now.cpu_seconds - before.cpu_seconds > _CORES * max(seconds, _LOOK_SECONDS)
            or now.received_bytes - before.received_bytes > _RECEIVED_A_SECOND * seconds
            or now.read_bytes - before.read_bytes > _READ_A_SECOND * seconds
        )
