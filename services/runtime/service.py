"""What drives a backend, whatever it runs in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from automarket.errors import AutoMarketError
    from automarket.service_status import ServiceStatus

IsReady = Callable[[str], Awaitable[bool]]
"""Tells whether the backend at a URL takes work. The provider's API client gives it; a service knows no API."""


class Service(Protocol):
    """One backend: how it is, starting and stopping it, and what has become of it."""

    name: str

    @property
    def url(self) -> str:
        """Where it is, or will be."""
        ...

    async def status(self, log_lines: int = 0) -> ServiceStatus:
        """Say how it is, with so many of the last lines that it wrote; 20 when it failed. Never raises."""
        ...

    def start(self) -> AsyncGenerator[ServiceStatus]:
        """Start it and give its states, the last one READY or FAILED.

        Raises:
            StateError: something that Docker needs is missing; the class says what.
            ServiceStartFailed: it could not be started.
            DiskFull: there is no room.
        """
        ...

    async def stop(self) -> ServiceStatus:
        """Stop it, and leave alone what the mesh did not start."""
        ...

    def beats(self) -> AsyncGenerator[None]:
        """Give a beat whenever something may have changed, and now and then; `status` tells what."""
        ...

    async def outdated(self) -> bool:
        """Tell whether the mesh started what runs with settings that are not those of now."""
        ...

    async def broken(self) -> AutoMarketError:
        """Wait until what runs now has ended, is paused or has lost its network, and say so."""
        ...

    async def close(self) -> None:
        """Give up connections; what runs goes on."""
        ...
