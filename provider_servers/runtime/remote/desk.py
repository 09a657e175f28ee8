"""What the calls of one provider of a vendor share: submits that outlive their callers, and last work."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from provider_servers.runtime.remote.waits import Waits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from provider_servers.runtime.remote.downloads import Downloads
    from provider_servers.runtime.remote.job import Ticket

T = TypeVar("T")

MOST_REMEMBERED = 1000


@dataclass(slots=True)
class Desk:
    """What the calls of one provider share.

    Attributes:
        name: the vendor's, for people.
        downloads: how outputs are fetched.
        waits: how long is waited.
    """

    name: str
    downloads: Downloads
    waits: Waits = field(default_factory=Waits)
    _submits: OrderedDict[str, asyncio.Task[Ticket]] = field(default_factory=OrderedDict[str, "asyncio.Task[Ticket]"])
    _last_work: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])

    def submit(self, request_id: str, make: Callable[[], Awaitable[Ticket]]) -> asyncio.Task[Ticket]:
        """Begin a submit, which goes on when its caller is lost: what it bought is not to be lost with it."""
        task = asyncio.ensure_future(_awaited(make()))
        task.add_done_callback(_heed)
        self._submits[request_id] = task
        while len(self._submits) > MOST_REMEMBERED:
            self._submits.popitem(last=False)
        return task

    def submitted(self, request_id: str) -> asyncio.Task[Ticket] | None:
        """Give the submit of a call that was made in this process, not long ago."""
        return self._submits.get(request_id)

    async def see_through(self, work: Awaitable[None]) -> None:
        """Do the last work of a call to its end, even if whoever waits for it here is cancelled once more."""
        task = asyncio.ensure_future(_awaited(work))
        self._last_work.add(task)
        task.add_done_callback(self._last_work.discard)
        await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for the last work of all calls."""
        await asyncio.gather(*self._last_work, return_exceptions=True)


async def _awaited(work: Awaitable[T]) -> T:
    return await work


def _heed(task: asyncio.Task[Any]) -> None:
    """Take note of what a task failed with, so that asyncio does not complain where nobody waits for it any more."""
    if not task.cancelled():
        task.exception()
