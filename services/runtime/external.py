"""A backend that runs already, wherever it is: used, never started or stopped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from automarket.errors import BackendFailed
from automarket.service_status import ServiceState, ServiceStatus
from services.runtime.probe import listens, takes_work

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from automarket.errors import AutoMarketError
    from services.runtime.service import IsReady

_BEAT_SECONDS = 15.0
_LOADING_SECONDS = 0.5
_WORKING_SECONDS = 2.0


class ExternalService:
    """A backend at a URL.

    Args:
        name: the backend.
        url: where it is.
        is_ready: tells whether it takes work.
        start_seconds: how long it may take until it does, when something asks for it to be started.
    """

    def __init__(self, name: str, url: str, *, is_ready: IsReady, start_seconds: float = 30.0) -> None:
        self.name = name
        self.url = url.rstrip("/")
        self._is_ready = is_ready
        self._seconds = start_seconds

    async def status(self, log_lines: int = 0) -> ServiceStatus:  # noqa: ARG002 - its log is not ours to read
        """Say how it is."""
        if await takes_work(self._is_ready, self.url):
            return ServiceStatus(message=f"{self.name} runs at {self.url}")
        if await listens(self.url):
            message = f"{self.name} at {self.url} is not ready"
            return ServiceStatus(ServiceState.LOADING, healthy=False, message=message)
        error = f"backend {self.name} does not answer at {self.url}"
        hint = "start it there, or unset its base_url to let the mesh run one"
        return ServiceStatus(ServiceState.FAILED, running=False, healthy=False, error=error, hint=hint)

    async def start(self) -> AsyncGenerator[ServiceStatus]:
        """Wait until it takes work, for a time; give its states, the last one READY or FAILED."""
        clock = asyncio.get_running_loop()
        until = clock.time() + self._seconds
        while (status := await self.status()).state != ServiceState.READY and clock.time() < until:
            yield ServiceStatus(
                ServiceState.LOADING,
                running=status.running,
                healthy=False,
                message=f"waiting for {self.name} at {self.url}",
            )
            await asyncio.sleep(_LOADING_SECONDS)
        if status.state == ServiceState.LOADING:
            error = f"backend {self.name} at {self.url} did not get ready within {self._seconds:.0f} s"
            status = ServiceStatus(ServiceState.FAILED, healthy=False, error=error, hint="its log may say why")
        yield status

    async def stop(self) -> ServiceStatus:
        """Leave it alone, and say how it is."""
        return await self.status()

    async def beats(self) -> AsyncGenerator[None]:
        """Give a beat now and then."""
        while True:
            yield
            await asyncio.sleep(_BEAT_SECONDS)

    async def outdated(self) -> bool:
        """Tell that its settings are not ours."""
        return False

    async def broken(self) -> AutoMarketError:
        """Wait until nothing listens there any more, and say so."""
        while await listens(self.url):  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(_WORKING_SECONDS)
        return BackendFailed(f"backend {self.name} at {self.url} has ended", metadata={"backend": self.name})

    async def close(self) -> None:
        """Do nothing: it keeps no connection."""
