"""Running an engine that blocks, step by step, beside the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

T = TypeVar("T")


async def in_thread(steps: Generator[T]) -> AsyncGenerator[T]:
    """Iterate a blocking generator in worker threads, one step at a time.

    A cancel takes effect after the step that is under way, so steps should be short (under 100 ms); then the generator
    is closed, and its `finally` runs in a thread too.
    """
    end = object()
    step: asyncio.Future[object] | None = None
    try:
        while True:
            step = asyncio.ensure_future(asyncio.to_thread(next, steps, end))
            value = await asyncio.shield(step)
            if value is end:
                return
            yield value  # pyright: ignore[reportReturnType] - what is not the end mark is a T
    finally:
        if step is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait({step})
        await asyncio.to_thread(steps.close)
