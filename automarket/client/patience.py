"""Trying again: what passes by itself, and how long to wait for it."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

from automarket.errors import CallCancelled, EndedError, OffsetMismatch, UnavailableError, UploadBusy

if TYPE_CHECKING:
    from automarket.errors import AutoMarketError

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 2.0


def passes(error: AutoMarketError) -> bool:
    """Tell whether a transfer that failed so can go on later.

    A connection that breaks also shows as INTERNAL without a reason, and a server that is being stopped as CANCELLED;
    repeating a transfer is safe, for it is told apart by its digest or upload_id.
    """
    known = isinstance(error, UnavailableError | UploadBusy | OffsetMismatch | CallCancelled)
    return known or type(error) is EndedError


class Patience:
    """Waits longer after each failure, and gives up when nothing has moved for some time.

    Args:
        seconds: for how long.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        """Begin anew: something has moved."""
        self._until = time.monotonic() + self._seconds
        self._delay = _FIRST_DELAY

    async def wait(self, error: AutoMarketError) -> None:
        """Wait before the next attempt.

        Raises:
            AutoMarketError: `error` itself, when it does not pass or nothing has moved for too long.
        """
        if not passes(error) or time.monotonic() >= self._until:
            raise error
        delay = max(self._delay * random.uniform(0.5, 1.0), error.retry_after or 0.0)  # noqa: S311 - spreads retries
        self._delay = min(self._delay * 2, _LONGEST_DELAY)
        await asyncio.sleep(min(delay, max(self._until - time.monotonic(), 0.0)))
