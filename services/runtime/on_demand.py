"""A backend that is there when it is needed: started by the first call, stopped when none came for a while."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError
from automarket.service_status import ServiceState, ServiceStatus
from services.runtime.lease import Lease
from services.runtime.locks import BackendLocks
from services.runtime.news import News
from services.runtime.starting import SharedStart

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from services.runtime.service import Service
    from services.runtime.settings import BackendSettings

IDLE_AFTER_SECONDS = 60.0
_SHORTEST_NAP = 0.05

_log = logging.getLogger(__name__)


class OnDemand:
    """One backend for all calls of a process, shared with other processes by locks in `settings.state_dir`.

    A backend that the mesh did not start is used and never stopped.

    Args:
        service: what drives it.
        settings: how long it may be idle, and the like.
    """

    def __init__(self, service: Service, settings: BackendSettings) -> None:
        self._service = service
        self._settings = settings
        self._locks = BackendLocks(None if settings.base_url else settings.state_dir, service.name)
        self._news = News()
        self._start = SharedStart(service, self._locks, self._heard)
        self._failed: ServiceStatus | None = None
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Begin to look after the backend, and adopt what an earlier process of the mesh has left.

        What runs with other settings than those of now is stopped, unless a call uses it; the next call starts it
        anew.
        """
        self._tasks = [asyncio.create_task(self._look_after())]

    async def close(self) -> None:
        """Stop what the mesh has started, unless it is to stay warm or another process uses it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._start.cancel()
        if not self._settings.keep_warm:
            await self._stop()
        await self._service.close()

    @asynccontextmanager
    async def lease(self) -> AsyncGenerator[Lease]:
        """Use the backend for a block. Wait for `ready` first, which starts it if need be."""
        lease = Lease(self._service, self._start, self._locks, self._used)
        try:
            yield lease
        finally:
            await lease.leave()

    # --- how it is ---

    @property
    def url(self) -> str:
        """Where it is, or will be."""
        return self._service.url

    async def status(self, log_lines: int = 0) -> ServiceStatus:
        """Say how it is: BUSY while calls use it, whatever its probes say, IDLE when it had nothing to do for a while.

        While it is started: how far that is. When the last start has failed: why.
        """
        under_way = self._start.status
        if under_way is None:
            return self._shown(await self._service.status(log_lines))
        if log_lines:
            lines = (await self._service.status(log_lines)).log_lines
            return replace(under_way, log_lines=lines[-log_lines:])
        return under_way

    async def watch(self) -> AsyncGenerator[ServiceStatus]:
        """Give its status now, and then every change."""
        with self._news.follow() as follower:
            status = await self.status()
            self._news.publish(status)
            follower.take()
            yield status
            following = asyncio.create_task(self._follow())
            try:
                while True:
                    await follower.wait()
                    while (status := follower.take()) is not None:
                        yield status
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)

    async def _follow(self) -> None:
        async with aclosing(self._service.beats()) as beats:
            async for _ in beats:
                self._news.publish(await self.status())

    def _shown(self, status: ServiceStatus) -> ServiceStatus:
        """Give a status of the service with what only this object knows."""
        name = self._service.name
        if self._stopping:
            return replace(status, state=ServiceState.STOPPING, healthy=False, message=f"{name} is being stopped")
        if self._failed is not None and not status.running:
            return replace(self._failed, managed=status.managed)
        works = status.state == ServiceState.LOADING and self._locks.working > 0
        if status.state != ServiceState.READY and not works:
            return status
        if self._locks.in_use():
            return replace(status, state=ServiceState.BUSY, healthy=True, message=f"{name} works")
        if self._locks.unused_seconds() >= IDLE_AFTER_SECONDS:
            return replace(status, state=ServiceState.IDLE, message=f"{name} is ready and has nothing to do")
        return status

    def _heard(self, status: ServiceStatus) -> None:
        """Take a status from a start."""
        if status.state == ServiceState.READY:
            self._locks.touch()
            status = self._shown(status)
        self._failed = status if status.state == ServiceState.FAILED else None
        self._news.publish(status)

    def _used(self) -> None:
        """Tell those who watch that calls have begun or ended to use it."""
        latest = self._news.latest
        if latest is not None and latest.state in (ServiceState.READY, ServiceState.BUSY, ServiceState.IDLE):
            ready = replace(latest, state=ServiceState.READY, message=f"{self._service.name} is ready")
            self._news.publish(self._shown(ready))

    # --- starting and stopping ---

    async def start(self) -> AsyncGenerator[ServiceStatus]:
        """Start it and give its states until it is ready, or FAILED; nothing but its status when it runs.

        Raises:
            StateError: something that Docker needs is missing; the class says what.
            ServiceStartFailed: it could not be started.
            DiskFull: there is no room.
        """
        status = await self.status()
        if status.healthy:
            yield status
            return
        async with aclosing(self._start.join()) as states:
            async for status in states:
                yield status

    async def stop(self) -> ServiceStatus:
        """Stop what the mesh has started, and call off a start that nobody waits for.

        What calls of any process use goes on: the status is then BUSY and says so.
        """
        if not self._locks.calls:
            await self._start.cancel()
        self._failed = None
        if (status := await self._stop()) is None:
            return replace(await self.status(), message=f"{self._service.name} is in use: it was not stopped")
        return status

    async def _stop(self) -> ServiceStatus | None:
        """Stop it if nobody uses or starts it, else give None."""
        with self._locks.stopping() as free:
            if not free:
                return None
            self._stopping = True
            try:
                if (status := await self.status()).managed and status.running:
                    self._news.publish(status)
                status = await self._service.stop()
            finally:
                self._stopping = False
        self._news.publish(status)
        return status

    async def _look_after(self) -> None:
        """Stop what is out of date, start what is to be warm, and stop what nobody needs."""
        if await self._service.outdated():
            _log.info("backend %s runs with other settings: it is stopped, unless it is in use", self._service.name)
            await self._stop()
        if self._settings.keep_warm:
            await self._warm()
        elif self._settings.idle_seconds:
            await self._stop_when_idle(self._settings.idle_seconds)

    async def _warm(self) -> None:
        try:
            async with aclosing(self.start()) as states:
                async for status in states:
                    if status.state == ServiceState.FAILED:
                        _log.warning("backend %s is to be warm: %s", self._service.name, status.error)
        except AutoMarketError as error:
            _log.warning("backend %s is to be warm: %s", self._service.name, error)

    async def _stop_when_idle(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(max(_SHORTEST_NAP, seconds - self._locks.unused_seconds()))
            if self._locks.unused_seconds() < seconds or self._start.status is not None:
                continue
            status = await self._service.status()
            try:
                if status.running and status.managed and await self._stop() is not None:
                    _log.info("backend %s was stopped: nobody has used it for %.0f s", self._service.name, seconds)
            except AutoMarketError as error:
                _log.warning("backend %s is idle and was not stopped: %s", self._service.name, error)
            await asyncio.sleep(min(seconds, IDLE_AFTER_SECONDS))
