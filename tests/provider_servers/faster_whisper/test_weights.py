"""Weights that are fetched when they are first used, from a hub on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time

import pytest

from automarket.errors import BackendFailed, DiskFull, EngineMissing, ModelUnknown
from provider_servers.faster_whisper import FasterWhisperProvider
from provider_servers.faster_whisper.settings import FasterWhisperSettings
from provider_servers.faster_whisper.troubles import explained
from provider_servers.faster_whisper.weights import find
from provider_servers.runtime import ServiceState
from provider_servers.runtime.testing import Sample, serving
from tests.provider_servers.faster_whisper.conftest import engines, kinds, phases, segments, until
from tests.provider_servers.faster_whisper.hub import serving_hub
from tests.support.mesh import free_port

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("HF_HUB_OFFLINE", "HF_TOKEN", "HF_HUB_CACHE", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")


@pytest.fixture
async def hub(noise, monkeypatch):
    async with serving_hub(tiny=noise) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


@pytest.fixture
def settings(tmp_path):
    return FasterWhisperSettings(models="noise/tiny", device="cpu", cache_dir=str(tmp_path / "cache"))


@pytest.fixture
async def served(settings):
    async with serving(FasterWhisperProvider(settings)) as served:
        yield served
    assert engines() == []


@pytest.fixture
def sample(media):
    return Sample({"audio": media.speech_wav()}, {"language": "en"})


def shares(events):
    return [event.progress.fraction for event in events if event.progress.phase == "pulling"]


async def test_a_model_is_fetched_with_progress_and_kept(hub, served, sample, tmp_path):
    hub.rate = 8e6
    events = await served.run(sample)
    assert segments(events)
    found = shares(events)
    assert len(found) >= 4
    assert found == sorted(found)
    assert 0 <= found[0] < 0.5 < found[-1] <= 1
    said = [event.progress.message for event in events if event.progress.phase == "pulling"]
    assert said[-1].startswith("fetching tiny: ")
    assert said[-1].endswith(" of 16 MB")
    assert kinds(events).index("accepted") > len(found)
    assert phases(events)[:1] == ["starting"]
    hub.asked.clear()
    assert "pulling" not in phases(await served.run(sample))
    await served.provider.stop_service()
    assert "pulling" not in phases(await served.run(sample))
    assert hub.asked == []
    assert find("noise/tiny", str(tmp_path / "cache")) is not None


async def test_calls_at_the_same_time_fetch_a_model_once(hub, served, sample):
    hub.rate = 8e6
    both = await asyncio.gather(served.run(sample), served.run(sample))
    assert all(segments(events) for events in both)
    assert all(len(shares(events)) >= 2 for events in both)
    assert hub.sent < 1.2 * 16e6


async def test_a_cancel_stops_the_download_and_leaves_nothing(hub, served, sample, tmp_path):
    hub.rate = 4e6
    for _ in range(3):
        running = asyncio.create_task(served.run(sample))
        await until(lambda: list((tmp_path / "cache").rglob("*.incomplete")))
        begin = time.monotonic()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert time.monotonic() - begin < 0.2
        await until(lambda: engines() == [], 1.5)
        sent = hub.sent
        await asyncio.sleep(0.3)
        assert hub.sent - sent < 2e6
        assert list((tmp_path / "cache").rglob("*.incomplete")) == []
    hub.rate = 0
    assert segments(await served.run(sample))


async def test_the_mesh_is_told_how_the_usual_model_is(hub, served):
    hub.rate = 8e6
    told = []

    async def watch():
        async for status in served.provider.watch_service():
            told.append(status)  # noqa: PERF401 - it never ends

    watching = asyncio.create_task(watch())
    states = [status async for status in served.provider.start_service()]
    await asyncio.sleep(0)
    watching.cancel()
    assert told[0].state == ServiceState.ABSENT
    assert not told[0].healthy
    for seen in (states, told):
        assert list(dict.fromkeys(one.state for one in seen))[-3:] == ["pulling", "loading", "ready"]
    assert (await served.provider.service_status()).healthy
    assert len(engines()) == 1
    assert (await served.provider.stop_service()).state == ServiceState.READY
    assert engines() == []


async def test_a_model_that_nobody_has(hub, sample, tmp_path):
    settings = FasterWhisperSettings(models="noise/none", cache_dir=str(tmp_path))
    async with serving(FasterWhisperProvider(settings)) as served:
        with pytest.raises(ModelUnknown) as caught:
            await served.run(sample)
        assert "HF_TOKEN" in caught.value.hint
        assert (await served.provider.service_status()).state == ServiceState.FAILED


async def test_a_repository_without_weights(noise, monkeypatch, sample, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text("{}")
    async with serving_hub(empty=tmp_path / "empty") as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        settings = FasterWhisperSettings(models="noise/empty", cache_dir=str(tmp_path / "cache"))
        async with serving(FasterWhisperProvider(settings)) as served:
            with pytest.raises(ModelUnknown, match=r"noise/empty: .* it has no model\.bin"):
                await served.run(sample)


async def test_offline_by_choice(hub, served, sample, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EngineMissing) as caught:
        await served.run(sample)
    assert "unset HF_HUB_OFFLINE" in caught.value.hint
    assert "AUTOMARKET_FASTER_WHISPER_MODELS" in caught.value.hint
    assert hub.asked == []


async def test_no_way_to_the_hub(noise, served, sample, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    begin = time.monotonic()
    with pytest.raises(BackendFailed, match="is not reached") as caught:
        await served.run(sample)
    assert "connect this machine" in caught.value.hint
    assert time.monotonic() - begin < 30


def test_a_full_disk_is_named():
    reason, _, hint = explained(OSError(errno.ENOSPC, "No space left on device"), "a/b")
    assert reason == DiskFull.reason
    assert "AUTOMARKET_FASTER_WHISPER_CACHE_DIR" in hint
