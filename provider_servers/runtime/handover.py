"""Events on their way from the task that makes them to the one that sends them: few at a time, in order."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any, Final, TypeAlias

SILENCE: Final = object()
"""Given instead of an event when there was none for long."""

_Wish: TypeAlias = "asyncio.Future[None]"


class Handover:
    """Passes events on; the one who makes them waits while several have not been taken yet.

    One task gives and one takes.

    Args:
        most: how many may wait.
        silence_seconds: after so long without an event the one who takes is told so.
    """

    def __init__(self, most: int, silence_seconds: float) -> None:
        self._most = most
        self._silence_seconds = silence_seconds
        self._waiting: deque[Any] = deque()
        self._room: _Wish | None = None
        self._news: _Wish | None = None
        self._has_ended = False
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._taken_at = 0.0

    async def put(self, event: Any) -> None:
        """Give an event; wait until there is room for it."""
        while len(self._waiting) >= self._most:
            self._room = self._loop.create_future()
            try:
                await self._room
            finally:
                self._room = None
        self.put_nowait(event)

    def put_nowait(self, event: Any) -> None:
        """Give an event, whether there is room for it or not."""
        self._waiting.append(event)
        _wake(self._news)

    def has_room(self) -> bool:
        """Tell whether an event would not have to wait for room."""
        return len(self._waiting) < self._most

    def end(self) -> None:
        """Say that no more events come."""
        self._has_ended = True
        _wake(self._news)

    def take_next(self) -> Any | None:
        """Give the event that waits, or None."""
        if not self._waiting:
            return None
        event = self._waiting.popleft()
        _wake(self._room)
        return event

    def put_back(self, event: Any) -> None:
        """Have an event that was taken be the next one again."""
        self._waiting.appendleft(event)

    async def take(self) -> Any | None:
        """Give the next event; SILENCE after long silence, None after the last one."""
        self._taken_at = time.monotonic()
        while not self._waiting:
            if self._has_ended:
                return None
            if self._timer is None:
                self._listen(self._silence_seconds)
            if time.monotonic() - self._taken_at >= self._silence_seconds:
                return SILENCE
            self._news = self._loop.create_future()
            try:
                await self._news
            finally:
                self._news = None
        return self.take_next()

    def close(self) -> None:
        """Give up: nobody takes any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _listen(self, seconds: float) -> None:
        """Look again when the silence may have become long. One timer serves all waits: most of them are short."""
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        left = self._silence_seconds - (time.monotonic() - self._taken_at)
        self._listen(left if left > 0 else self._silence_seconds)
        if left <= 0:
            _wake(self._news)


def _wake(wish: _Wish | None) -> None:
    if wish is not None and not wish.done():
        wish.set_result(None)
