"""What the calls of one provider of a vendor share: submits that outlive their callers, and last work."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from automarket.errors import OutcomeUnknown, RequestIdReused
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
        """Whether it is under way, has ended well, or nobody knows how: made again it might be paid for twice."""
        if not self.task.done():
            return True
        return not self.task.cancelled() and isinstance(self.task.exception(), OutcomeUnknown | None)


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
    _followers: dict[asyncio.Task[Ticket], int] = field(default_factory=dict["asyncio.Task[Ticket]", int])
    _last_work: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])

    def submit(self, request_id: str, mark: str, make: Callable[[], Awaitable[Ticket]]) -> asyncio.Task[Ticket]:
        """Begin a submit, which goes on when its caller is lost: what it bought is not to be lost with it.

        An equal repeat of a call that this process has under way, or has ended well, is the same submit. Whoever asked
        says by `leave` when it is no longer of interest.

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
            self._followers[known.task] = self._followers.get(known.task, 0) + 1
            return known.task
        task = asyncio.ensure_future(_awaited(make()))
        task.add_done_callback(_heed)
        self._followers[task] = 1
        self._submits[request_id] = Submit(task, mark)
        while len(self._submits) > MOST_REMEMBERED:
            self._submits.popitem(last=False)
        return task

    def leave(self, task: asyncio.Task[Ticket]) -> bool:
        """Follow a submit no longer; tell whether nobody else does."""
        left = self._followers.pop(task) - 1
        if left:
            self._followers[task] = left
        return not left

    def submitted(self, request_id: str) -> asyncio.Task[Ticket] | None:
        """Give the submit of a call that was made in this process, not long ago."""
        known = self._submits.get(request_id)
        return None if known is None else known.task

    def forget(self, request_id: str) -> None:
        """Forget a submit whose work has failed or is cancelled: a repeat of the call begins anew."""
        self._submits.pop(request_id, None)

    async def see_through(self, work: Awaitable[None]) -> None:
        """Do the last work of a call to its end; it is waited for here for a moment only."""
        task = asyncio.ensure_future(_awaited(work))
        self._last_work.add(task)
        task.add_done_callback(self._last_work.discard)
        await asyncio.wait({task}, timeout=self.waits.cancel)

    async def close(self) -> None:
        """Wait for the last work of all calls, for a moment."""
        if self._last_work:
            await asyncio.wait(self._last_work, timeout=self.waits.cancel)


async def _awaited(work: Awaitable[T]) -> T:
    return await work


def _heed(task: asyncio.Task[Any]) -> None:
    """Take note of what a task failed with, so that asyncio does not complain where nobody waits for it any more."""
    if not task.cancelled():
        task.exception()
