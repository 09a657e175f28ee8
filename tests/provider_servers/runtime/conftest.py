"""A bench that is served, and one that belongs to a mesh with a store in a process of its own."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from automarket.client.assets import AssetClient
from automarket.rpc.channel import open_channel
from provider_servers.runtime.testing import serving
from tests.asset_store.process import StoreProcess
from tests.provider_servers.runtime.bench import Bench
from tests.support.gateway import Here, until


@pytest.fixture
async def bench():
    async with serving(Bench()) as served:
        yield served


@pytest.fixture
def store(short_dir):
    with StoreProcess(short_dir) as process:
        process.start()
        yield process


@pytest.fixture
async def assets(store):
    async with open_channel(store.address) as channel:
        yield AssetClient(channel)


@asynccontextmanager
async def joined(store, *, shared: bool = True, provider=None):
    """Serve a bench that knows a store, with or without its folder."""
    here = Here(store.folder)
    folder = str(store.data_dir / "content") if shared else ""
    async with (
        here.running_control(store=store.address, content_directory=folder),
        serving(provider or Bench(), here.control) as served,
    ):
        await until(lambda: served.server._host.store.there, what="the store is known")
        yield served
