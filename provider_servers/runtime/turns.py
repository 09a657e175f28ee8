"""One request at a time to a backend that cannot stop what it has begun.

Requests of all calls stand in one line and each call has one in it, so calls take turns. Whoever leaves before its
request has gone out takes it along. A request that is out is seen through, its answer thrown away: the next one is not
sent before the backend is free, and what was cancelled does not pile up there.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class Turn(Generic[T]):
    """One request in the line."""

    def __init__(self, line: asyncio.Lock, ask: Callable[[Callable[[], None]], Awaitable[T]]) -> None:
        self._out = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(line, ask))

    async def _run(self, line: asyncio.Lock, ask: Callable[[Callable[[], None]], Awaitable[T]]) -> T:
        async with line:
            return await ask(self._sent)

    def _sent(self) -> None:
        if not self._out.done():
            self._out.set_result(None)

    @property
    def is_out(self) -> bool:
        """Whether the backend has the request."""
        return self._out.done()

    @property
    def has_ended(self) -> bool:
        """Whether there is a result."""
        return self._task.done()

    async def news(self, seconds: float) -> None:
        """Wait until the request is out, or there is a result, or so many seconds have passed."""
        waiting = {self._task} if self.is_out else {self._task, self._out}
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)

    def result(self) -> T:
        """Give the result, or raise what went wrong, once it has ended."""
        return self._task.result()

    def leave(self) -> None:
        """Want no result any more."""
        if not self.is_out:
            self._task.cancel()

    def give_up(self) -> asyncio.Task[T]:
        """Give the request up, wherever it is; what is given has soon ended."""
        self._task.cancel()
        return self._task

    def when_ended(self, tell: Callable[[Turn[T]], object]) -> None:
        """Have it told when there is a result, which nobody has to ask for."""

        def ended(task: asyncio.Task[T]) -> None:
            if not task.cancelled():
                task.exception()
            tell(self)

        self._task.add_done_callback(ended)


class Turns:
    """The line before one backend."""

    def __init__(self) -> None:
        self._line = asyncio.Lock()
        self._turns: list[Turn[Any]] = []

    def take(self, ask: Callable[[Callable[[], None]], Awaitable[T]]) -> Turn[T]:
        """Stand in line with a request. `ask` makes it, and calls what it is given once the request is out."""
        turn = Turn(self._line, ask)
        self._turns.append(turn)
        turn.when_ended(self._turns.remove)
        return turn

    @property
    def busy(self) -> bool:
        """Whether the backend has a request, and so may answer nothing else."""
        return any(turn.is_out for turn in self._turns)

    def ahead_of(self, turn: Turn[Any]) -> int:
        """Give how many requests are to be answered before one."""
        return self._turns.index(turn) if turn in self._turns else 0

    async def close(self) -> None:
        """Give up every request, and those in line before the first one makes room."""
        if given_up := [turn.give_up() for turn in self._turns]:
            await asyncio.wait(given_up)
