"""Asking a vendor again while it gives no answer, or has too much to do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from automarket.errors import AutoMarketError, RateLimited, UnavailableError, VendorOverloaded
from provider_servers.runtime.remote.vendor_api import Unanswered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from provider_servers.runtime.remote.waits import Waits

T = TypeVar("T")


async def persisting(
    ask: Callable[[], Awaitable[T]], waits: Waits, passing: tuple[type[AutoMarketError], ...] = (UnavailableError,)
) -> T:
    """Ask again while the vendor gives no answer, has too much to do or fails with what is passing; for a while.

    Raises:
        AutoMarketError: what it answers is an error, or patience is at its end.
    """
    patience = asyncio.get_running_loop().time() + waits.patience
    for pause in waits.pauses():
        asked = 0.0
        try:
            return await ask()
        except (Unanswered, RateLimited, VendorOverloaded, *passing) as error:
            fault = error.error if isinstance(error, Unanswered) else error
            if asyncio.get_running_loop().time() >= patience:
                raise fault from None
            asked = fault.retry_after or 0.0
        await asyncio.sleep(max(pause, asked))
    raise AssertionError  # pauses do not end
