"""As large an input as Replicate takes, and a video of 500 MB as output: no process holds them in memory."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

import automarket
from automarket.errors import InputTooLarge
from tests.client.conftest import running_gateway, until_complete
from tests.support.require import require
from tests.vendors.made import made
from tests.vendors.replicate import Replicate
from tests.vendors.running import Running, environment

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(600)]

IN_BYTES, OUT_BYTES = 99_000_000, 500_000_000
LIMIT_MEBIBYTES = 120_000_000 / 1024 / 1024


def film(path: Path, size: int) -> Path:
    """Make a video of so many bytes: a second of pictures, and a box that players skip."""
    clip = made("mp4")
    with path.open("wb") as file:
        file.write(clip)
        file.write(struct.pack(">I4s", size - len(clip), b"free"))
        file.truncate(size)
    return path


def peak(process) -> float:
    """Give the most memory that a process has held, in MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


async def test_large_media_takes_little_memory_and_what_is_too_large_is_refused(tmp_path, monkeypatch):
    require("ffmpeg")
    fake = Replicate(starting=0.0, processing=0.1, film=film(tmp_path / "made.mp4", OUT_BYTES))
    vendor = Running("replicate", fake)
    for name, value in environment("replicate", vendor.url).items():
        monkeypatch.setenv(name, value)
    wanted = {"provider": "replicate", "model": "topazlabs/video-upscale"}
    try:
        with running_gateway("replicate") as gateway:
            await until_complete(gateway.address, {"replicate"})
            async with automarket.connect(gateway.address) as mesh:
                video = await mesh.transform(film(tmp_path / "given.mp4", IN_BYTES), **wanted)
                video.save(tmp_path / "out.mp4")
                with pytest.raises(InputTooLarge, match="100,000,000"):
                    await mesh.transform(film(tmp_path / "larger.mp4", 101_000_000), **wanted)
            [provider], store = gateway.providers, gateway.own[0]
            held = {"provider": peak(provider), "store": peak(store)}
    finally:
        vendor.close()
    assert (tmp_path / "out.mp4").stat().st_size == OUT_BYTES
    assert [one["size"] for one in fake.files.facts.values()] == [IN_BYTES]
    assert max(held.values()) < LIMIT_MEBIBYTES, held
    assert len(fake.submits) == 1
