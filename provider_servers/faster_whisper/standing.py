"""How a model is, in the words for backends: not here yet, being fetched, loading, ready."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from provider_servers.runtime import ServiceState, ServiceStatus

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from automarket.errors import AutoMarketError
    from provider_servers.faster_whisper.engines import Making

_MEGABYTE = 1_000_000


class Standing:
    """How one model is, for whoever asks or watches.

    Attributes:
        latest: how it is now.
    """

    def __init__(self, name: str) -> None:
        self.latest = ServiceStatus()
        self._name = name
        self._share = 0.0
        self._changed = asyncio.Event()

    def found(self, *, here: bool) -> None:
        """Say whether its weights are on this machine: one that is here is loaded by the first call."""
        self._share = 0.0
        if here:
            self._tell(ServiceStatus(message=f"{self._name} is on this machine"))
        else:
            self._tell(self._not_ready(ServiceState.ABSENT, f"{self._name} is fetched when it is first used"))

    def making(self, state: Making) -> ServiceStatus:
        """Say how far it is on its way; one that was here before stays ready for whoever watches."""
        status = self._fetching(*state) if isinstance(state, tuple) else self._not_ready(state, f"{state} {self._name}")
        return status if self.latest.state == ServiceState.READY else self._tell(status)

    def failed(self, error: AutoMarketError) -> None:
        """Say that it cannot be had."""
        self._share = 0.0
        hint = error.hint or ""
        failed = ServiceStatus(ServiceState.FAILED, running=False, healthy=False, error=error.message, hint=hint)
        self._tell(failed)

    async def watch(self) -> AsyncGenerator[ServiceStatus]:
        """Give how it is, now and whenever that changes."""
        while True:
            changed = self._changed
            yield self.latest
            await changed.wait()

    def _fetching(self, done: int, total: int) -> ServiceStatus:
        self._share = max(self._share, done / total if total else 0.0)
        message = f"fetching {self._name}: {done / _MEGABYTE:.0f} of {total / _MEGABYTE:.0f} MB"
        return self._not_ready(ServiceState.PULLING, message, self._share)

    def _not_ready(self, state: ServiceState, message: str, fraction: float | None = None) -> ServiceStatus:
        return ServiceStatus(state, running=False, healthy=False, fraction=fraction, message=message)

    def _tell(self, status: ServiceStatus) -> ServiceStatus:
        if status != self.latest:
            self.latest = status
            self._changed.set()
            self._changed = asyncio.Event()
        return status
