"""The right of one call to use a backend."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

import httpx

from automarket.errors import AutoMarketError, BackendFailed, ServiceStartFailed, UnavailableError
from automarket.service_status import ServiceState, ServiceStatus

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from services.runtime.locks import BackendLocks
    from services.runtime.service import Service
    from services.runtime.starting import SharedStart

T = TypeVar("T")

_FIRST_SECONDS = 0.1
_REPEAT_SECONDS = 0.7
_LOCK_SECONDS = 0.05
# How long Docker may take to notice that a container has ended whose connection broke.
_NOTICE_SECONDS = 1.5


class Lease:
    """One call's use of a backend: while it is held, nobody stops the backend for idleness.

    `OnDemand.lease` makes it; wait for `ready`, then do the work by `run`.
    """

    def __init__(self, service: Service, start: SharedStart, locks: BackendLocks, used: Callable[[], None]) -> None:
        self._service = service
        self._start = start
        self._locks = locks
        self._used = used
        self._working = False
        self._breaking: asyncio.Task[AutoMarketError] | None = None
        locks.enter()
        locks.share()

    @property
    def url(self) -> str:
        """Where the backend is; right once it is ready."""
        return self._service.url

    async def ready(self) -> AsyncGenerator[ServiceStatus]:
        """Wait until the backend takes work, and start it if need be; many callers start it once.

        Gives its states: the first within 300 ms, then at least one a second, none when it is ready already. A caller
        who goes away does not end the start.

        Raises:
            StateError: something that Docker needs is missing; the class says what.
            ServiceStartFailed: it could not be started; with exit code and last lines where there are some.
            DiskFull: there is no room.
        """
        await self._rest()
        async with aclosing(self._wait_for_stop()) as states:
            async for status in states:
                yield status
        looking = asyncio.ensure_future(self._service.status())
        try:
            while not (await asyncio.wait({looking}, timeout=_FIRST_SECONDS))[0]:
                yield _waiting(ServiceState.STARTING, f"{self._service.name} does not answer yet")
                await asyncio.wait({looking}, timeout=_REPEAT_SECONDS - _FIRST_SECONDS)
        finally:
            looking.cancel()
        status = looking.result()
        if not self._is_at_work(status):
            async with aclosing(self._start.join()) as states:
                async for status in states:
                    yield status
            if status.state == ServiceState.FAILED:
                raise _start_failed(status, self._service.name)
        self._working = True
        self._locks.begin_work()
        self._used()

    async def run(self, awaitable: Awaitable[T]) -> T:
        """Await something that uses the backend, and end it as soon as the backend is of no use any more.

        Raises:
            BackendFailed: the container has ended, is paused, or has lost its network; or the connection to it broke.
        """
        work = asyncio.ensure_future(awaitable)
        breaking = self._watch()
        try:
            await asyncio.wait({work, breaking}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise breaking.result()
            return work.result()
        except (httpx.TransportError, ConnectionError, UnavailableError) as error:
            if work.done() and not work.cancelled() and work.exception() is error:
                raise await self._explained(error, breaking) from error
            raise
        finally:
            if not work.done():
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)

    async def _explained(self, error: Exception, breaking: asyncio.Task[AutoMarketError]) -> AutoMarketError:
        """Say what became of the container when a connection to it broke; an answer of its own stays as it is."""
        if isinstance(error, AutoMarketError) and "upstream_code" in error.metadata:
            return error
        await asyncio.wait({breaking}, timeout=_NOTICE_SECONDS)
        if breaking.done():
            return breaking.result()
        if isinstance(error, AutoMarketError):
            return error
        message = f"the connection to backend {self._service.name} broke: {type(error).__name__} {error}".rstrip()
        return BackendFailed(message, metadata={"backend": self._service.name})

    def _watch(self) -> asyncio.Task[AutoMarketError]:
        if self._breaking is None:
            self._breaking = asyncio.create_task(self._service.broken())
        return self._breaking

    def _is_at_work(self, status: ServiceStatus) -> bool:
        """Tell whether the backend is there: one that works for others may answer nobody, and takes the next call."""
        waits = status.state == ServiceState.LOADING and self._locks.working > 0
        return status.state == ServiceState.READY or waits

    async def _rest(self) -> None:
        """End what a wait for the backend and work on it have left."""
        if self._working:
            self._working = False
            self._locks.end_work()
        if self._breaking is not None:
            self._breaking.cancel()
            await asyncio.gather(self._breaking, return_exceptions=True)
            self._breaking = None

    async def _wait_for_stop(self) -> AsyncGenerator[ServiceStatus]:
        """Wait while somebody stops the backend."""
        waited = 0.0
        while not self._locks.share():
            if waited % _REPEAT_SECONDS < _LOCK_SECONDS:
                yield _waiting(ServiceState.STOPPING, f"{self._service.name} is being stopped, and started again then")
            await asyncio.sleep(_LOCK_SECONDS)
            waited += _LOCK_SECONDS

    async def leave(self) -> None:
        """End the use."""
        self._locks.leave()
        await self._rest()
        self._used()


def _waiting(state: ServiceState, message: str) -> ServiceStatus:
    return ServiceStatus(state, running=False, healthy=False, message=message)


def _start_failed(status: ServiceStatus, name: str) -> ServiceStartFailed:
    metadata = {"backend": name, "phase": "starting"}
    if status.exit_code is not None:
        metadata["exit_code"] = str(status.exit_code)
    if status.out_of_memory:
        metadata["out_of_memory"] = "true"
    message = status.error or f"backend {name} could not be started"
    return ServiceStartFailed(message, hint=status.hint or None, metadata=metadata, log_lines=status.log_lines)
