"""The provider next to a real container: started by the first call, and what calls see when it comes to harm."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from automarket.errors import BackendFailed
from provider_servers.runtime.testing import Sample, chunks_of, serving
from provider_servers.whisper import WhisperProvider
from services.whisper import WhisperSettings
from tests.support.docker import backend_image, client, container_notes, set_faults
from tests.support.mesh import free_port
from tests.support.words import word_error_rate

pytestmark = [pytest.mark.slow, pytest.mark.docker]

EXAMPLES = Path(__file__).resolve().parent.parent.parent.parent / "examples"
LABEL = {"label": "automarket.backend=whisper"}
FIVE = {"window_seconds": 5}
ROUNDS = [pytest.param(3, id="3 times"), pytest.param(10, id="10 times", marks=pytest.mark.soak)]


@pytest.fixture
def in_docker(short_dir):
    """Give what serves a provider whose container is still to be started, with the container's URL."""

    @asynccontextmanager
    async def serve(**settings):
        port, image = free_port(), await asyncio.to_thread(backend_image, "whisper")
        made = WhisperSettings(image=image, port=port, state_dir=short_dir, **settings)
        async with serving(WhisperProvider(made)) as served:
            yield served, f"http://127.0.0.1:{port}"

    return serve


def containers():
    with client() as docker:
        return [one.id for one in docker.containers.list(filters=LABEL)]


def to_container(what):
    """Do something to the one container there is."""
    with client() as docker:
        (one,) = docker.containers.list(filters=LABEL)
        getattr(one, what)()


async def stream(served, sample, timeout=120):
    async with aclosing(served.stream(served.header(sample), chunks_of(sample), timeout)) as events:
        async for event in events:
            yield event


async def harmed(served, sample, do):
    """Give the events of a call, and do something once its second window is out."""
    heard = []
    async for event in stream(served, sample):
        heard.append(event)
        message = event.progress.message
        if do is not None and message.startswith("hearing") and not message.startswith("hearing 0:00.0"):
            await asyncio.to_thread(do)
            do = None
    assert do is None
    return heard


async def test_the_first_call_starts_the_container_and_says_so(in_docker):
    async with in_docker() as (served, _):
        clock = asyncio.get_running_loop()
        begin = last = clock.time()
        gaps, phases, words = [], [], []
        async for event in stream(served, Sample({"audio": EXAMPLES / "talk.mp4"})):
            gaps.append(clock.time() - last)
            last = clock.time()
            if event.HasField("progress"):
                phases.append(event.progress.phase)
            if event.HasField("segment"):
                words.append(event.segment.text)
        assert word_error_rate((EXAMPLES / "talk.txt").read_text(), " ".join(words)) < 0.25
        assert phases[0] in ("starting", "pulling", "loading")
        assert "running" in phases
        assert max(gaps) < 2.5, gaps  # one second, on a machine that is busy
        assert last > begin
    assert containers() == []


async def test_ten_calls_at_once_start_one_container(in_docker, silence):
    async with in_docker() as (served, _):
        answers = await asyncio.gather(*(served.run(Sample({"audio": silence(1)})) for _ in range(10)))
        assert all(events[-1].HasField("finished") for events in answers)
        assert len(containers()) == 1
        begun, ended = container_notes("whisper", "begin", "/asr"), container_notes("whisper", "end", "/asr")
        assert len(begun) == len(ended) == 10
        assert all(later["at"] >= earlier["at"] for later, earlier in zip(begun[1:], ended, strict=False))


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("harm", ["kill", "pause", "restart", "remove"])
async def test_a_window_is_heard_again_when_its_container_comes_to_harm(in_docker, sentences, harm, rounds):
    async with in_docker() as (served, url):
        sample = Sample({"audio": sentences(2)}, {"window_seconds": 7})
        for _ in range(rounds):
            await served.run(Sample({"audio": sentences(1, 0.0)}))
            await set_faults(url, path="/asr", delay_seconds=2)
            events = await harmed(served, sample, lambda: to_container(harm) if harm != "remove" else remove())
            assert events[-1].HasField("finished")
            said = " ".join(event.segment.text for event in events if event.HasField("segment"))
            assert said.count("quick") == 2, said
            assert len(containers()) == 1


def remove():
    with client() as docker:
        (one,) = docker.containers.list(filters=LABEL)
        one.remove(force=True)


async def test_memory_that_ran_out_is_told(in_docker, silence):
    async with in_docker(memory="200m") as (served, url):
        await served.run(Sample({"audio": silence(1)}))
        sample = Sample({"audio": silence(12)}, FIVE)
        first = served.header(sample)
        await set_faults(url, path="/asr", eat_memory=True, times=1, delay_seconds=20)
        events = await served.transform(first, chunks_of(sample), timeout=120)
        assert events[-1].HasField("finished")
        [line] = served.server._host.diagnostics.answer(first.header.request_id).log_lines
        assert "memory" in line


def is_at_work():
    return len(container_notes("whisper", "end", "/asr")) < len(container_notes("whisper", "begin", "/asr"))


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_cancel_leaves_the_container_the_window_it_had_begun_and_no_more(in_docker, silence, rounds):
    async with in_docker() as (served, url):
        await served.run(Sample({"audio": silence(1)}))
        await set_faults(url, path="/asr", delay_seconds=0.5)
        sample = Sample({"audio": silence(120)}, FIVE)
        for _ in range(rounds):
            async with aclosing(stream(served, sample)) as events:
                async for event in events:
                    if event.progress.message.startswith("hearing"):
                        break
                left = time.time()
            assert time.time() - left < 0.5  # 200 ms, on a machine that is busy
            await asyncio.sleep(1.5)
            async with asyncio.timeout(20):
                while is_at_work():  # noqa: ASYNC110 - with the window that it had begun, and nobody tells us
                    await asyncio.sleep(0.1)
            assert all(note["at"] < left + 0.5 for note in container_notes("whisper", "begin", "/asr"))


async def test_a_failure_carries_the_last_lines_of_the_log(in_docker, silence):
    async with in_docker() as (served, url):
        await served.run(Sample({"audio": silence(1)}))
        await set_faults(url, path="/asr", status=500)
        with pytest.raises(BackendFailed, match="failed twice") as caught:
            await served.run(Sample({"audio": silence(1)}))
        assert caught.value.metadata["upstream_code"] == "500"
        assert any('"path": "/asr", "status": 500' in line for line in caught.value.log_lines), caught.value.log_lines
