"""How a vendor is: asked by one request that is free of charge, and remembered for a while."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError
from automarket.service_status import ServiceState, ServiceStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

REMEMBERED_SECONDS = 60.0
WATCH_SECONDS = 600.0


class Health:
    """Asks at most once in a while, however many want to know.

    Args:
        ask: makes the request; it raises when the vendor is not there or does not take the key.
        seconds: for how long an answer is remembered; a vendor that failed is asked again when it has passed.
    """

    def __init__(self, ask: Callable[[], Awaitable[object]], seconds: float = REMEMBERED_SECONDS) -> None:
        self._ask = ask
        self._seconds = seconds
        self._status = ServiceStatus()
        self._asked_at: float | None = None
        self._lock = asyncio.Lock()
        self._changed = asyncio.Event()

    async def status(self) -> ServiceStatus:
        """Say how the vendor is."""
        async with self._lock:
            if self._asked_at is None or time.monotonic() - self._asked_at > self._seconds:
                try:
                    await self._ask()
                except AutoMarketError as error:
                    self.note(error)
                else:
                    self.note(None)
        return self._status

    def note(self, error: AutoMarketError | None) -> None:
        """Take what a request has told of the vendor: what it failed with, or that it went well."""
        self._asked_at = time.monotonic()
        status = ServiceStatus()
        if error is not None:
            status = ServiceStatus(ServiceState.FAILED, healthy=False, error=error.message, hint=error.hint or "")
        if status != self._status:
            self._status = status
            self._changed.set()

    def forget(self) -> None:
        """Ask anew next time: the settings are others."""
        self._asked_at = None

    async def watch(self) -> AsyncIterator[ServiceStatus]:
        """Give how the vendor is, once asked, and whenever that has changed; it is asked again now and then."""
        given = await self.status()
        yield given
        while True:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_SECONDS if given.healthy else self._seconds):
                    await self._changed.wait()
            if (found := await self.status()) != given:
                given = found
                yield given
