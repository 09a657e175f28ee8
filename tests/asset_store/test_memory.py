"""Large assets: memory stays flat, and the store goes on answering."""

from __future__ import annotations

import asyncio
import time

import pytest

from automarket.digests import digest_file
from tests.asset_store.uploading import MIB

LIMIT_MEBIBYTES = 150


async def round_trip(store, client, tmp_path, size: int) -> None:
    path = tmp_path / "large.bin"
    make_file(path, size)
    digest = await asyncio.to_thread(digest_file, path)
    small = await client.put(b"small")
    slowest = 0.0
    done = asyncio.Event()

    async def ask() -> None:
        nonlocal slowest
        while not done.is_set():
            begin = time.monotonic()
            await client.stat(small.digest)
            slowest = max(slowest, time.monotonic() - begin)
            await asyncio.sleep(0.02)

    asking = asyncio.create_task(ask())
    asset = await client.put(path)
    assert (asset.digest, asset.bytes_sent) == (digest, size)
    out = tmp_path / "back.bin"
    await client.get(digest, out)
    done.set()
    await asking
    assert await asyncio.to_thread(digest_file, out) == digest
    assert (await client.put(path)).bytes_sent == 0
    assert store.peak_mebibytes() < LIMIT_MEBIBYTES
    assert slowest < 1.5, f"a question waited {slowest:.2f} s while bytes moved"


def make_file(path, size: int) -> None:
    block = bytes(range(256)) * 4096
    with path.open("wb") as file:
        for number in range(size // MIB):
            file.write(number.to_bytes(8, "big") + block[8:])


@pytest.mark.alone
@pytest.mark.slow
async def test_256_mib_go_in_and_out_in_little_memory(store, client, tmp_path):
    await round_trip(store, client, tmp_path, 256 * MIB)


@pytest.mark.soak
async def test_2_gib_go_in_and_out_in_the_same_memory(store, client, tmp_path):
    await round_trip(store, client, tmp_path, 256 * MIB)
    before = store.peak_mebibytes()
    await round_trip(store, client, tmp_path, 2048 * MIB)
    assert store.peak_mebibytes() < before + 25, "memory grows with the asset"
