"""Run the asset store: python -P -m asset_store --listen unix:/p --data-dir DIR [--quota-bytes 20GB] ..."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pydantic import ValidationError

from asset_store.asset_service import AssetServicer
from asset_store.recovery import adopt, forget_lost
from asset_store.settings import StoreSettings
from asset_store.store import Store
from automarket.rpc.process import run_server
from automarket.rpc.server import RpcServer
from automarket.v1 import asset_service_pb2
from automarket.v1.asset_service_pb2_grpc import add_AssetServiceServicer_to_server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
    from typing import Any

log = logging.getLogger("asset_store")

_THREADS = 24
SERVICE = asset_service_pb2.DESCRIPTOR.services_by_name["AssetService"].full_name


def asset_store(settings: StoreSettings) -> Callable[[asyncio.Event], Awaitable[None]]:
    """Give what runs the store until an event is set."""

    async def run(stop: asyncio.Event) -> None:
        # Digesting large files keeps threads busy for seconds; small questions must not wait for them.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
        store = await asyncio.to_thread(Store, settings)
        unknown = await asyncio.to_thread(forget_lost, store)
        addresses = [address.strip() for address in settings.listen.split(",")]
        server = RpcServer(addresses, [SERVICE], allow_network=settings.insecure)
        add_AssetServiceServicer_to_server(AssetServicer(store), server.grpc)
        async with _beside(adopt(store, unknown)), _beside(_sweep(store, settings.sweep_seconds)):
            log.info("serving", extra={"addresses": await server.start(), "data_dir": str(settings.data_dir)})
            await stop.wait()
            await server.drain(settings.drain_seconds)
        await asyncio.to_thread(store.close)

    return run


async def _sweep(store: Store, every: float) -> None:
    while True:
        await store.sweep()
        await asyncio.sleep(every)


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Run something in the background; what fails there is logged, and ends nothing else."""
    task = asyncio.create_task(work)
    task.add_done_callback(_log_failure)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("work in the background failed", exc_info=error)


def main() -> int:
    """Run a store; 2 when its settings are wrong."""
    try:
        settings = StoreSettings(_cli_parse_args=True)  # pyright: ignore[reportCallIssue] - fields come from outside
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        sys.stderr.write(f"asset-store: {'; '.join(faults)} (see --help)\n")
        return 2
    return run_server("asset-store", asset_store(settings))


if __name__ == "__main__":
    raise SystemExit(main())
