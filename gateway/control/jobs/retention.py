"""Forgetting what is old: jobs, what was used, what was set aside."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError

if TYPE_CHECKING:
    from gateway.control.jobs.settings import JobSettings
    from gateway.control.jobs.store import JobStore
    from gateway.control.usage.ledger import Ledger

log = logging.getLogger("automarket.control")

EVERY_SECONDS = 600.0
USAGE_SECONDS = 400 * 86_400.0
IN_MEMORY_SECONDS = 86_400.0


async def forget_old(store: JobStore, ledger: Ledger, settings: JobSettings) -> None:
    """Forget what is older than the settings say."""
    now = time.time()
    at_least = now - settings.keep_at_least_seconds
    old = now - settings.keep_seconds
    while await store.forget(ended_before=old, most=settings.keep_count, kept_after=at_least):
        continue
    await ledger.forget(now - (USAGE_SECONDS if store.database.is_durable else IN_MEMORY_SECONDS))


async def forget_for_ever(store: JobStore, ledger: Ledger, settings: JobSettings) -> None:
    """Forget what is old, now and then, until cancelled."""
    while True:
        try:
            await forget_old(store, ledger, settings)
        except AutoMarketError as error:
            log.warning("old jobs are not forgotten", extra={"reason": error.reason})
        await asyncio.sleep(EVERY_SECONDS)
