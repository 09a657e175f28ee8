"""How many calls a provider works on at the same time, and the line of those that wait."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from automarket.errors import ProviderBusy
from automarket.rpc import metrics

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

LOOK_SECONDS = 0.3  # how often a call that waits looks how far the line has moved
TELL_SECONDS = 0.8  # how long after it was told so it is told again that it has not


class Places:
    """A bounded number of places with a bounded line, first come first served.

    Args:
        name: the provider, for messages and metrics.
        max_active: calls worked on at once.
        max_queued: calls that may wait.
        changed: called whenever the load changes.
    """

    def __init__(self, name: str, max_active: int, max_queued: int, changed: Callable[[], None]) -> None:
        self._name = name
        self._max_active = max_active
        self._max_queued = max_queued
        self._changed = changed
        self._line: deque[asyncio.Future[None]] = deque()
        self.active = 0

    @property
    def queued(self) -> int:
        """How many calls wait."""
        return len(self._line)

    @asynccontextmanager
    async def place(self, report: Callable[[int], None]) -> AsyncGenerator[None]:
        """Hold a place; `report(ahead)` is called with how many calls are ahead, at least once a second.

        Raises:
            ProviderBusy: the line is full.
        """
        if self.active >= self._max_active or self._line:
            await self._wait(report)
        else:
            self.active += 1
        self._changed()
        try:
            yield
        finally:
            self._leave()

    async def _wait(self, report: Callable[[int], None]) -> None:
        if len(self._line) >= self._max_queued:
            raise ProviderBusy(
                f"provider {self._name} works on {self.active} calls and {self.queued} wait: the line is full",
                hint="try again, or start more instances",
                retry_after=2.0,
                metadata={"provider": self._name, "phase": "queued"},
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        turn.add_done_callback(lambda _: metrics.queue.add(-1, {"provider": self._name}))
        metrics.queue.add(1, {"provider": self._name})
        self._line.append(turn)
        self._changed()
        told, told_at = -1, 0.0
        try:
            while not turn.done():
                ahead, now = self._line.index(turn), time.monotonic()
                if ahead != told or now - told_at >= TELL_SECONDS:
                    told, told_at = ahead, now
                    report(ahead)
                await asyncio.wait({turn}, timeout=LOOK_SECONDS)
        except asyncio.CancelledError:
            if turn.done():  # the place came at the same moment: hand it on
                self._leave()
            else:
                self._line.remove(turn)
                turn.cancel()
            raise

    def _leave(self) -> None:
        if self._line:
            self._line.popleft().set_result(None)  # the place changes hands; `active` stays
        else:
            self.active -= 1
        self._changed()
