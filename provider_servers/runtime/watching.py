"""Following how the backend of a provider is."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from provider_servers.runtime.host import Host

log = logging.getLogger("automarket.provider")

AGAIN_SECONDS = 5.0


async def follow_service(host: Host, changed: Callable[[], None]) -> None:
    """Keep in `host` how the provider's backend is, and tell of every change; returns where there is no backend.

    What goes wrong in the author's code is a bug: it is logged, and the watch begins anew.
    """
    while True:
        try:
            watch: Any = host.provider.watch_service()
            async with aclosing(watch) as states:
                async for status in states:
                    host.service = status
                    changed()
        except Exception:
            log.exception("the backend cannot be watched", extra={"provider": host.provider.id})
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            return
