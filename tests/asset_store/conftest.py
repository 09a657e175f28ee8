"""A real store in its own process, and clients of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from automarket.client.assets import AssetClient
from automarket.rpc.channel import open_channel
from tests.asset_store.process import StoreProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import grpc.aio


@pytest.fixture
def store(short_dir: Path) -> Iterator[StoreProcess]:
    """Give a store that runs; a test may kill and start it again."""
    with StoreProcess(short_dir) as process:
        process.start()
        yield process


@pytest.fixture
async def channel(store: StoreProcess) -> AsyncIterator[grpc.aio.Channel]:
    """Give a channel to the store."""
    async with open_channel(store.address) as channel:
        yield channel


@pytest.fixture
def client(channel: grpc.aio.Channel) -> AssetClient:
    """Give a client of the store."""
    return AssetClient(channel, patience=15)
