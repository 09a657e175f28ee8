"""The life of a gRPC server's process: logs and telemetry around what `automarket.lifetime` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automarket import lifetime, logs
from automarket.rpc import telemetry

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable


def run_server(name: str, main: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Run `main` until it returns; SIGTERM, SIGINT or the parent's end set the event that it waits for.

    Gives the exit code: 0, or 1 after an error, which is written to standard error in a sentence.
    """
    logs.configure(name, telemetry.current_ids)
    telemetry.configure(name)
    try:
        return lifetime.run(name, main)
    finally:
        telemetry.shutdown()
