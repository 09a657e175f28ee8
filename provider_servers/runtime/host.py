"""What all calls of one provider server share."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from automarket.service_status import ServiceState
from provider_servers.runtime.accounts import Accounts
from provider_servers.runtime.describe import Availability
from provider_servers.runtime.descriptors import ModelMessages
from provider_servers.runtime.diagnostics import Diagnostics
from provider_servers.runtime.places import Places
from provider_servers.runtime.store import StoreLink

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from automarket.service_status import ServiceStatus
    from provider_servers.runtime.describe import Provider


SETTLE_SECONDS = 2.0
_ON_ITS_WAY = (ServiceState.PULLING, ServiceState.STARTING, ServiceState.LOADING)


class Host:
    """One provider in one process.

    Args:
        provider: the author's provider.
        instance_id: identity of this process in the mesh.
        load_changed: called whenever a call begins, waits or ends.
    """

    def __init__(self, provider: Provider, instance_id: str, load_changed: Callable[[], None]) -> None:
        self.provider = provider
        self.instance_id = instance_id
        self.availability = Availability()  # as it was when the server began
        self.service: ServiceStatus | None = provider.unseen_service()  # of the backend that may have to be started
        self.models = ModelMessages(provider)
        self.store = StoreLink()
        self.accounts = Accounts(provider.id)
        self.diagnostics = Diagnostics(instance_id)
        self.places = Places(provider.id, provider.max_concurrent_calls, provider.max_queued_calls, load_changed)
        self._open_calls = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._last_work: set[asyncio.Future[None]] = set()

    def backend_wait(self) -> str:
        """Say, as the end of a sentence, what a backend does that is on its way; nothing otherwise."""
        status = self.service
        return f"; {status.message or status.state}" if status and status.state in _ON_ITS_WAY else ""

    def begin_call(self) -> None:
        """Note that a call begins."""
        self._open_calls += 1
        self._idle.clear()

    def end_call(self) -> None:
        """Note that a call is tidied up."""
        self._open_calls -= 1
        if not self._open_calls:
            self._idle.set()

    async def see_through(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the last work of a call to its end, even if whoever waits for it here is cancelled once more."""
        task = asyncio.ensure_future(work)
        self._last_work.add(task)
        task.add_done_callback(self._last_work.discard)
        await asyncio.shield(task)

    async def settle(self) -> None:
        """Wait, for a moment, until the last work of every call is done."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._idle.wait()
