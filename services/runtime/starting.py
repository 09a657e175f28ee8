"""One start for all who wait for it, in this process and in others."""

from __future__ import annotations

import asyncio
import copy
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError, ServiceStartFailed
from automarket.service_status import ServiceState, ServiceStatus
from services.runtime.locks import tell
from services.runtime.news import News

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from services.runtime.locks import BackendLocks
    from services.runtime.service import Service

_POLL_SECONDS = 0.3
_FIRST_SECONDS = 0.1
_REPEAT_SECONDS = 0.7


class SharedStart:
    """Starts a backend once, however many wait for it.

    A start goes on when all who waited have gone: a pull is not lost, and the next call finds the backend there. It
    is stopped by the idle time like any other. Only `cancel` ends a start.

    Args:
        service: what is started.
        locks: keep other processes from starting it, too.
        heard: gets every status.
    """

    def __init__(self, service: Service, locks: BackendLocks, heard: Callable[[ServiceStatus], None]) -> None:
        self._service = service
        self._locks = locks
        self._heard = heard
        self._task: asyncio.Task[None] | None = None
        self._news = News()

    @property
    def status(self) -> ServiceStatus | None:
        """How far the start is that is under way; None when none is."""
        return self._news.latest if self._task is not None and not self._task.done() else None

    async def join(self) -> AsyncGenerator[ServiceStatus]:
        """Wait for the start that is under way, or begin one; give its states, one a second at least.

        The last one is READY or FAILED.

        Raises:
            AutoMarketError: what the start ended with.
        """
        task = self._begin()
        with self._news.follow() as follower:
            if (status := self._news.latest) is not None:
                yield status
            while True:
                while (fresh := follower.take()) is not None:
                    status = fresh
                    yield status
                if task.done():
                    break
                waiting = asyncio.ensure_future(follower.wait())
                try:
                    seconds = _REPEAT_SECONDS if status else _FIRST_SECONDS
                    await asyncio.wait({waiting, task}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    waiting.cancel()
                if not waiting.done() and not task.done():
                    status = status or self._first()
                    yield status
        if task.cancelled():
            raise ServiceStartFailed(f"the start of backend {self._service.name} was called off")
        if (error := task.exception()) is not None:
            raise copy.copy(error) from error

    async def cancel(self) -> None:
        """Call off the start that is under way."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _begin(self) -> asyncio.Task[None]:
        if self._task is None or self._task.done():
            self._news = News()
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(_retrieve)
        return self._task

    def _first(self) -> ServiceStatus:
        message = f"{self._service.name} is to be started"
        return ServiceStatus(ServiceState.STARTING, running=False, healthy=False, message=message)

    async def _run(self) -> None:
        lock = self._locks.start_lock()
        try:
            while lock and not lock.take():
                self._publish(replace(self._locks.told(), managed=True))
                await asyncio.sleep(_POLL_SECONDS)
            async with aclosing(self._service.start()) as states:
                async for status in states:
                    if lock:
                        tell(lock, status)
                    self._publish(status)
        except AutoMarketError as error:
            self._publish(_failed(error))
            raise
        finally:
            if lock:
                with suppress(OSError):
                    lock.write("")
                lock.release()

    def _publish(self, status: ServiceStatus) -> None:
        self._news.publish(status)
        self._heard(status)


def _failed(error: AutoMarketError) -> ServiceStatus:
    return ServiceStatus(
        ServiceState.FAILED,
        running=False,
        healthy=False,
        error=error.message,
        hint=error.hint or "",
        log_lines=error.log_lines,
    )


def _retrieve(task: asyncio.Task[None]) -> None:
    """Look at how a start ended that nobody waited for, so that asyncio does not complain."""
    if not task.cancelled():
        task.exception()
