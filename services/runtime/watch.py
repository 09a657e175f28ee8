"""Following what happens to one backend's container: Docker's events, and a look now and then."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError
from services.runtime.engine import part
from services.runtime.states import BACKEND_LABEL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from services.runtime.engine import Attributes, Engine

_RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)


class Watcher:
    """Wakes those who wait when something happens to a backend. One subscription serves all of them.

    When the engine ends they are woken, too, and it is asked again until it is back.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self._count = 0
        self._next = asyncio.Event()
        self.container = ""

    async def beats(self, seconds: float) -> AsyncGenerator[None]:
        """Give a beat at once, and another whenever something has happened since, at least every so many seconds."""
        self._begin()
        while True:
            seen = self._count
            yield
            if seen == self._count:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._next.wait()

    async def close(self) -> None:
        """End the subscription."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def _begin(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        failed = 0
        while True:
            with suppress(AutoMarketError):
                async with aclosing(self._engine.events()) as events:
                    async for event in events:
                        failed = 0
                        if self._concerns(event):
                            self._wake()
            self._wake()
            await asyncio.sleep(_RETRY_SECONDS[min(failed, len(_RETRY_SECONDS) - 1)])
            failed += 1

    def _concerns(self, event: Attributes) -> bool:
        about = part(event, "Actor", "Attributes")
        if event.get("Type") == "network":
            return about.get("container") == self.container
        return about.get(BACKEND_LABEL) == self._name

    def _wake(self) -> None:
        self._count += 1
        self._next.set()
        self._next = asyncio.Event()
