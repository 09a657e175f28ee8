"""News of a backend for everybody who follows it: each state in order, of one state only the latest."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

    from automarket.service_status import ServiceStatus


class Follower:
    """What one follower has not read yet."""

    def __init__(self) -> None:
        self._waiting: deque[ServiceStatus] = deque()
        self._arrived = asyncio.Event()

    def put(self, status: ServiceStatus) -> None:
        """Add a status, in place of an unread one of the same state."""
        if self._waiting and self._waiting[-1].state == status.state:
            self._waiting.pop()
        self._waiting.append(status)
        self._arrived.set()

    def take(self) -> ServiceStatus | None:
        """Give the next status, or None when all are read."""
        if not self._waiting:
            self._arrived.clear()
            return None
        return self._waiting.popleft()

    async def wait(self) -> None:
        """Wait for a status that is not read."""
        await self._arrived.wait()


class News:
    """Hands each status to all followers; one that says nothing new goes to nobody."""

    def __init__(self) -> None:
        self._followers: set[Follower] = set()
        self.latest: ServiceStatus | None = None

    @property
    def followed(self) -> bool:
        """Somebody follows."""
        return bool(self._followers)

    def publish(self, status: ServiceStatus) -> None:
        """Hand a status to all."""
        if self.latest is not None and _told(self.latest) == _told(status):
            return
        self.latest = status
        for follower in self._followers:
            follower.put(status)

    @contextmanager
    def follow(self) -> Generator[Follower]:
        """Follow for a block."""
        follower = Follower()
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)


def _told(status: ServiceStatus) -> ServiceStatus:
    """Give what counts as news: new log lines alone are none."""
    return replace(status, log_lines=())
