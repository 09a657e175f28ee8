"""What the calls of one provider of a vendor share: submits that outlive their callers, and last work."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from automarket.errors import RequestIdReused
from provider_servers.runtime.remote.waits import Waits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from provider_servers.runtime.remote.downloads import Downloads
    from provider_servers.runtime.remote.job import Ticket

T = TypeVar("T")

MOST_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Submit:
    """One submit: its task, and what tells what was asked for."""

    task: asyncio.Task[Ticket]
    mark: str

    @property
    def is_of_use(self) -> bool:
        """Whether it is under way, or has ended well."""
        return not self.task.done() or (not self.task.cancelled() and self.task.exception() is None)


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
    _submits: OrderedDict[str, Submit] = field(default_factory=OrderedDict[str, "Submit"])
    _last_work: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])

    def submit(self, request_id: str, mark: str, make: Callable[[], Awaitable[Ticket]]) -> asyncio.Task[Ticket]:
        """Begin a submit, which goes on when its caller is lost: what it bought is not to be lost with it.

        An equal repeat of a call that this process has under way, or has ended well, is the same submit.

        Args:
            request_id: of the call.
            mark: tells what is asked for.
            make: submits it.

        Raises:
            RequestIdReused: the call of that id asked for something else.
        """
        known = self._submits.get(request_id)
        if known is not None and known.is_of_use:
            if known.mark != mark:
                message = "a call with that request_id asked for something else"
                raise RequestIdReused(message, hint="take a new one", fields={"header.request_id": "used before"})
            return known.task
        task = asyncio.ensure_future(_awaited(make()))
        task.add_done_callback(_heed)
        self._submits[request_id] = Submit(task, mark)
        while len(self._submits) > MOST_REMEMBERED:
            self._submits.popitem(last=False)
        return task

    def submitted(self, request_id: str) -> asyncio.Task[Ticket] | None:
        """Give the submit of a call that was made in this process, not long ago."""
        known = self._submits.get(request_id)
        return None if known is None else known.task

    def forget(self, request_id: str) -> None:
        """Forget a submit whose work has failed or is cancelled: a repeat of the call begins anew."""
        self._submits.pop(request_id, None)

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
