"""All that jobs need in one process: the runner, what takes new ones in, webhooks, and what forgets old ones."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError
from gateway.control.jobs.intake import Intake
from gateway.control.jobs.retention import forget_for_ever
from gateway.control.jobs.runner import Runner
from gateway.control.jobs.store import JobStore
from gateway.control.jobs.webhooks import Webhooks

if TYPE_CHECKING:
    from gateway.control.registry import Registry
    from gateway.control.routes import Routes
    from gateway.control.settings import ControlSettings
    from gateway.control.usage.ledger import Ledger

log = logging.getLogger("automarket.control")


class Jobs:
    """The jobs of a mesh."""

    def __init__(self, ledger: Ledger, registry: Registry, routes: Routes, settings: ControlSettings) -> None:
        limits = settings.jobs()
        secret = settings.webhook_secret.get_secret_value()
        store = JobStore(ledger.database, limits.max_events)
        self._webhooks = Webhooks(ledger.database, secret)
        self.runner = Runner(store, ledger, registry, routes, settings=limits, ended=lambda _: self._webhooks.wake())
        self.intake = Intake(self.runner, settings.store, can_tell=bool(secret))
        self._forgetting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up the jobs that have not ended; without its database the mesh works, but for them."""
        try:
            await self.runner.start()
        except AutoMarketError as error:
            log.error("jobs cannot be taken up: %s", error, extra={"reason": error.reason})  # noqa: TRY400 - its own words
            return
        self._webhooks.start()
        store, ledger, limits = self.runner.store, self.runner.ledger, self.runner.settings
        self._forgetting = asyncio.create_task(forget_for_ever(store, ledger, limits))

    async def close(self) -> None:
        """End all calls; jobs go on when control is back."""
        await self.runner.close()
        await self._webhooks.close()
        if self._forgetting is not None:
            self._forgetting.cancel()
            await asyncio.gather(self._forgetting, return_exceptions=True)
