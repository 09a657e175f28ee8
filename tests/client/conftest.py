"""A mesh to call: the real gateway and asset store, with a toy provider behind them, and the toy by itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
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
    from collections.abc import AsyncIterator, Iterator

ROOT = Path(__file__).resolve().parent.parent.parent

# Nothing that is not there yet may still turn up: unknown names are unknown at once.
CONTROL = ("gateway.control", "--settle-seconds", "0")


@dataclass(slots=True)
class Gateway:
    """Control, the public port and asset store as processes, and providers."""

    folder: Path
    store: str
    control: str
    address: str
    own: list[subprocess.Popen[bytes]]
    providers: list[subprocess.Popen[bytes]]

    @property
    def content(self) -> Path:
        """Where the store's files are."""
        return self.folder / "data" / "content"


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


@contextmanager
def processes(*commands: tuple[str, ...], folder: Path | None = None) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run Python modules for the time of the block. Those that were ended by a test are left alone."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AUTOMARKET_LOG_LEVEL": "warning"}
    modules = ([sys.executable, "-P", "-m", *command] for command in commands)
    running = [subprocess.Popen(command, env=environment, cwd=folder) for command in modules]
    try:
        yield running
    finally:
        for process in reversed(running):
            process.terminate()
            process.send_signal(signal.SIGCONT)
        for process in running:
            process.wait(20)


@contextmanager
def running_gateway(*more: str, public: str = "", hidden: bool = False, jobs: bool = False) -> Iterator[Gateway]:
    """Run a gateway and a store, and the providers that are named; one of them once for each time that it is named.

    With `jobs` it keeps jobs. Providers that are `hidden` listen at "unix:0", "unix:1" and so on in a folder that only
    the gateway works in.
    """
    folder = Path(tempfile.mkdtemp(prefix="am-"))
    store, control, routes, here = (f"unix:{folder}/{name}" for name in ("store", "control", "routes", "public"))
    public = public or here
    content = str(folder / "data" / "content")
    providers = [
        (
            "provider_servers.runtime",
            name,
            "--listen",
            f"unix:{n}" if hidden else f"unix:{folder}/{n}",
            "--registry",
            control,
        )
        for n, name in enumerate(more)
    ]
    kept = ("--data-dir", str(folder / "kept")) if jobs else ()
    commands = [
        ("asset_store", "--listen", store, "--data-dir", str(folder / "data")),
        (*CONTROL, "--listen", control, "--routes", routes, "--store", store, "--content-directory", content, *kept),
        ("gateway.relay", "--listen", public, "--routes", routes),
        *providers,
    ]
    try:
        with processes(*commands, folder=folder) as running:
            yield Gateway(folder, store, control, public, running[:3], running[3:])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUTOMARKET_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway() as running:
        yield running


@pytest.fixture
async def toy(short_dir: Path) -> AsyncIterator[Toy]:
    address = f"unix:{short_dir}/toy.sock"
    server = RpcServer([address], ["automarket.v1.ModelService"])
    running = Toy(address, ToyModels(), ToyProvider())
    add_MediaProviderServiceServicer_to_server(running.provider, server.grpc)
    add_ModelServiceServicer_to_server(running.models, server.grpc)
    await server.start()
    yield running
    await server.drain(0)


@pytest.fixture
async def place(gateway: Gateway, toy: Toy) -> AsyncIterator[Place]:
    """Give a mesh with the toy in it and nothing in its store."""
    ready = asyncio.Event()
    registered = asyncio.create_task(keep_registered(gateway.control, toy.address, ready))
    try:
        await asyncio.wait_for(ready.wait(), 20)
        await until_complete(gateway.address, {"toy"})
        await empty_store(gateway.address)
        yield Place(gateway.address, toy)
    finally:
        registered.cancel()
        await asyncio.wait([registered])


async def keep_registered(control: str, address: str, ready: asyncio.Event) -> None:
    while True:
        try:
            await stay_registered(control, address, ready)
        except (grpc.aio.AioRpcError, grpc.aio.UsageError):  # control is still starting
            await asyncio.sleep(0.1)


async def until_complete(address: str, wanted: set[str]) -> None:
    """Wait until every provider that is wanted takes calls, and the store too."""
    async with asyncio.timeout(60), automarket.connect(address) as mesh:
        while True:
            try:
                models = await mesh.models(available_only=True)
                there = {one.provider_id for one in models}
                await mesh.assets.find_missing(["sha256:" + "0" * 64])
                for name in wanted & there:
                    await mesh.model(provider=name)
                if wanted <= there:
                    return
            except AutoMarketError:
                pass
            await asyncio.sleep(0.05)


async def empty_store(address: str) -> None:
    async with automarket.connect(address) as mesh:
        for asset in [asset async for asset in mesh.assets.list()]:
            await mesh.assets.delete(asset.digest)
