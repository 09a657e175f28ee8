"""Signs of life while a backend works: people see every second that something happens."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

from provider_servers.runtime import Progress

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from provider_servers.ollama.pulling import PullState
    from services.runtime import Lease

T = TypeVar("T")

PULL_SECONDS, SIGN_SECONDS = 0.25, 1.0
_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


async def with_signs(source: AsyncGenerator[T], lease: Lease, every: float) -> AsyncGenerator[T | None]:
    """Give what a source gives, and None for every so many seconds of silence; it ends as soon as the backend breaks.

    Raises:
        BackendFailed: the backend broke; the error says how.
    """
    async with aclosing(source):
        while True:
            getting = asyncio.ensure_future(lease.run(anext(source, None)))
            try:
                while not (await asyncio.wait({getting}, timeout=every))[0]:
                    yield None
            finally:
                getting.cancel()
                await asyncio.gather(getting, return_exceptions=True)
            if (item := getting.result()) is None:
                return
            yield item


def pulling(name: str, state: PullState) -> Progress:
    """Say how far a pull is: bytes of the layers that are known, or the backend's own words where none is."""
    message = f"pulling {name}: {state.status}"
    if state.total and state.status.startswith("pulling"):
        size, unit = next((one for one in _UNITS if state.total >= one[0]), (1.0, "bytes"))
        message = f"pulling {name}: {state.completed / size:.1f} of {state.total / size:.1f} {unit}"
    return Progress("pulling", state.fraction, message)
