"""A mesh to call: the real gateway and asset store, with a toy provider behind them, and the toy by itself."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc.aio
import pytest

import automarket
from automarket.errors import AutoMarketError
from automarket.rpc.server import RpcServer
from automarket.v1.media_provider_service_pb2_grpc import add_MediaProviderServiceServicer_to_server
from automarket.v1.model_service_pb2_grpc import add_ModelServiceServicer_to_server
from tests.client.toy import ToyModels, ToyProvider, stay_registered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


# Nothing that is not there yet may still turn up: unknown names are unknown at once.
CONTROL = ("gateway.control", "--settle-seconds", "0")


@dataclass(slots=True)
class Toy:
    address: str
    models: ToyModels
    provider: ToyProvider


@dataclass(slots=True)
class Place:
    """A mesh that runs: its public address, and the toy provider behind it."""

    address: str
    toy: Toy

    @property
    def calls(self):
        return self.toy.models.calls


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUTOMARKET_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
async def toy(short_dir: Path) -> AsyncIterator[Toy]:
    address = f"unix:{short_dir}/toy.sock"
    server = RpcServer([address], ["automarket.v1.ModelService"])
    running = Toy(address, ToyModels(), ToyProvider())
    add_ModelServiceServicer_to_server(running.models, server.grpc)
    add_MediaProviderServiceServicer_to_server(running.provider, server.grpc)
    await server.start()
    yield running
    await server.drain(0)


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-P", "-m", *arguments)


@pytest.fixture
async def place(short_dir: Path, toy: Toy) -> AsyncIterator[Place]:
    store, control, routes, gateway = (f"unix:{short_dir}/{name}" for name in ("store", "control", "routes", "gateway"))
    processes = [
        await start("asset_store", "--listen", store, "--data-dir", str(short_dir / "data")),
        await start(*CONTROL, "--listen", control, "--routes", routes, "--store", store),
        await start("gateway.forwarder", "--listen", gateway, "--routes", routes),
    ]
    ready = asyncio.Event()
    registered = asyncio.create_task(keep_registered(control, toy.address, ready))
    try:
        await asyncio.wait_for(ready.wait(), 20)
        await until_complete(gateway)
        yield Place(gateway, toy)
    finally:
        registered.cancel()
        for process in reversed(processes):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        await asyncio.gather(*(process.wait() for process in processes))


async def keep_registered(control: str, address: str, ready: asyncio.Event) -> None:
    while True:
        try:
            await stay_registered(control, address, ready)
        except (grpc.aio.AioRpcError, grpc.aio.UsageError):  # control is still starting
            await asyncio.sleep(0.1)


async def until_complete(gateway: str) -> None:
    async with asyncio.timeout(20), automarket.connect(gateway) as mesh:
        while True:
            try:
                models = await mesh.models(available_only=True)
                await mesh.assets.find_missing(["sha256:" + "0" * 64])
                if models:
                    return
            except AutoMarketError:
                pass
            await asyncio.sleep(0.05)
