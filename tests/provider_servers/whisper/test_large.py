"""Large and long recordings: memory stays flat, and the first words come early."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import automarket
from automarket.client import events as e
from automarket.media.wav import wav_header
from tests.client.conftest import running_gateway, until_complete
from tests.support.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.client.conftest import Gateway

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LIMIT_MEBIBYTES = 120_000_000 / 1024 / 1024
MIB = 1024 * 1024


@pytest.fixture
def gateway(running, monkeypatch, tmp_path) -> Iterator[Gateway]:
    """Run a gateway, a store and Whisper's provider server as processes."""
    require("ffmpeg", "flite")
    monkeypatch.setenv("AUTOMARKET_WHISPER_BASE_URL", running.url)
    monkeypatch.setenv("AUTOMARKET_CACHE_DIR", str(tmp_path / "cache"))
    with running_gateway("whisper") as gateway:
        yield gateway


@pytest.fixture
async def mesh(gateway):
    await until_complete(gateway.address, {"whisper"})
    async with automarket.connect(gateway.address) as mesh:
        yield mesh


@pytest.fixture(scope="session")
def studio_wav(media) -> Path:
    """Give a sentence and silence: 130 s of WAV, 192 kHz, stereo, 32 bit, 200 MB."""
    deep = ("-af", "apad=whole_dur=130", "-c:a", "pcm_s32le", "-ar", "192000", "-ac", "2")
    return media.ffmpeg("studio.wav", "-i", str(media.speech_wav()), *deep)


def peak(process) -> float:
    """Give the most memory that a process has held, in MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


async def pieces(path: Path):
    with path.open("rb") as file:
        while piece := file.read(MIB):
            yield piece


@pytest.mark.parametrize("way", ["by digest", "in chunks", "in chunks, sent on whole"])
async def test_200_mb_take_little_memory(way, mesh, gateway, studio_wav):
    assert studio_wav.stat().st_size > 199_000_000
    given = studio_wav if way == "by digest" else pieces(studio_wav)
    window = 0 if way.endswith("whole") else 30
    text = await mesh.transform(given, capability="speech-to-text", provider="whisper", window_seconds=window)
    assert "quick" in text.content
    assert text.metadata.usage == {"second": pytest.approx(130, abs=0.5)}
    [provider], store = gateway.providers, gateway.own[0]
    held = {"provider": peak(provider), "store": peak(store)}
    assert max(held.values()) < LIMIT_MEBIBYTES, held


def recording(path: Path, sentence: bytes, seconds: float, every: float) -> Path:
    """Make a recording of a sentence that is said again and again."""
    pause = bytes(max(0, round(every * 16_000) * 2 - len(sentence)))
    times = round(seconds / every)
    with path.open("wb") as file:
        file.write(wav_header(16_000, 1, times * len(sentence + pause)))
        for _ in range(times):
            file.write(sentence + pause)
    return path


@pytest.mark.parametrize(
    "every", [pytest.param(40.0, id="sparse"), pytest.param(6.0, id="dense", marks=pytest.mark.soak)]
)
async def test_the_first_segment_of_ten_minutes_comes_early(every, mesh, media, tmp_path):
    talk = recording(tmp_path / "talk.wav", media.speech_wav().read_bytes()[44:], 600, every)
    stream = mesh.stream(talk, capability="speech-to-text", provider="whisper")
    accepted = first = 0.0
    async for event in stream:
        if isinstance(event, e.Accepted):
            accepted = time.monotonic()
        if isinstance(event, e.Segment) and not first:
            first = time.monotonic()
    total = time.monotonic() - accepted
    assert first - accepted < 0.25 * total, (first - accepted, total)
    text = await stream.result()
    assert text.content.count("quick") > 0.7 * 600 / every
