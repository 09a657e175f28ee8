"""A video of 500 MB as input and as output: no process holds it in memory."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import automarket
from tests.client.conftest import running_gateway, until_complete
from tests.support.require import require
from tests.vendors.fal import Fal
from tests.vendors.made import made
from tests.vendors.running import Running, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(900)]

SIZE = 500_000_000
LIMIT_MEBIBYTES = 120_000_000 / 1024 / 1024
MIB = 1024 * 1024


@pytest.fixture
def film(tmp_path) -> Path:
    """Give a video of 500 MB: a second of pictures, and a box that players skip."""
    path = tmp_path / "film.mp4"
    clip = made("mp4")
    with path.open("wb") as file:
        file.write(clip)
        file.write(struct.pack(">I4s", SIZE - len(clip), b"free"))
        file.truncate(SIZE)
    return path


@pytest.fixture
def vendor(film) -> Iterator[Running]:
    running = Running("fal", Fal(queued=0.0, running=0.1, output=film))
    yield running
    running.close()


@pytest.fixture
def gateway(vendor, monkeypatch):
    require("ffmpeg")
    for name, value in environment("fal", vendor.url).items():
        monkeypatch.setenv(name, value)
    with running_gateway("fal") as gateway:
        yield gateway


def peak(process) -> float:
    """Give the most memory that a process has held, in MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


async def pieces(path: Path):
    with path.open("rb") as file:
        while piece := file.read(MIB):
            yield piece


@pytest.mark.parametrize("way", ["by digest", "in chunks"])
async def test_500_mb_in_and_out_take_little_memory(way, gateway, vendor, film, tmp_path):
    await until_complete(gateway.address, {"fal"})
    async with automarket.connect(gateway.address) as mesh:
        given = film if way == "by digest" else pieces(film)
        video = await mesh.transform(given, capability="video-upscale", provider="fal", model="video-enhance", scale=4)
        video.save(tmp_path / "out.mp4")
        assert (tmp_path / "out.mp4").stat().st_size == SIZE
    [stored] = vendor.fake.storage.uploads.values()
    assert (stored.size, stored.parts) == (SIZE, 50)
    [provider], store = gateway.providers, gateway.own[0]
    held = {"provider": peak(provider), "store": peak(store)}
    assert max(held.values()) < LIMIT_MEBIBYTES, held
    assert len(vendor.fake.submits) == 1
