"""The provider next to a real container: started by the first call, models kept in its volume, harm told as it is."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from automarket.errors import BackendFailed
from provider_servers.ollama import OllamaProvider
from provider_servers.runtime.testing import Sample, chunks_of, serving
from services.ollama import OllamaSettings
from tests.backends.ollama.running import set_manners
from tests.provider_servers.ollama.conftest import news, tokens
from tests.support.docker import backend_image, client, container_notes, set_faults
from tests.support.mesh import free_port

pytestmark = [pytest.mark.slow, pytest.mark.docker]

SAMPLE = Sample({"text": "Tell me of the harbour."}, {"seed": 1}, "llama3.2")


@pytest.fixture
def serving_in_docker(short_dir):
    """Give what serves a provider whose container is still to be started, with the container's URL."""

    @asynccontextmanager
    async def serve(**settings):
        port, image = free_port(), await asyncio.to_thread(backend_image, "ollama")
        made = OllamaSettings(image=image, port=port, state_dir=short_dir, **settings)
        async with serving(OllamaProvider(made)) as served:
            yield served, f"http://127.0.0.1:{port}"

    return serve


def containers():
    with client() as docker:
        return docker.containers.list(filters={"label": "automarket.backend=ollama"})


def to_container(what):
    """Do something to the one container there is."""
    with client() as docker:
        (one,) = docker.containers.list(filters={"label": "automarket.backend=ollama"})
        getattr(one, what)()


async def harmed(served, harm):
    """Make a call, and do something once its second token is there; give what was received."""
    received = []
    async for event in served.stream(served.header(SAMPLE), chunks_of(SAMPLE)):
        received += tokens([event])
        if harm is not None and len(received) >= 2:
            await harm()
            harm = None
    return received


async def test_from_nothing_many_calls_start_one_container_and_pull_what_they_need(serving_in_docker):
    async with serving_in_docker() as (served, _):
        assert not containers()
        begin, seen = time.monotonic(), []
        others = [asyncio.create_task(served.run(SAMPLE)) for _ in range(9)]
        async for event in served.stream(served.header(SAMPLE), chunks_of(SAMPLE)):
            seen.append((time.monotonic() - begin, event))  # noqa: PERF401 - when each came
        answers = await asyncio.gather(*others)
        assert len(containers()) == 1
        events = [event for _, event in seen]
        assert seen[0][0] < 2
        gaps = [later - sooner for (sooner, _), (later, _) in pairwise(seen)]
        assert max(gaps) < 2.5
        assert {"starting", "pulling"} <= {event.progress.phase for event in events}
        assert {tuple(tokens(one)) for one in answers} == {tuple(tokens(events))}
        assert "3.2B" in served.provider.models()[0].description
    assert not containers()


async def test_what_was_pulled_is_there_when_the_container_comes_back(serving_in_docker):
    async with serving_in_docker() as (served, url):
        await served.run(SAMPLE)
        await set_manners(url, token_seconds=0.1)
        with pytest.raises(BackendFailed) as caught:
            await harmed(served, lambda: asyncio.to_thread(to_container, "kill"))
        assert caught.value.metadata.get("exit_code") == "137"
        events = await served.run(SAMPLE)
        assert tokens(events)
        assert not any("MB" in one.message for one in news(events, "pulling"))
        await served.provider.stop_service()
        assert not containers()
        assert not any("MB" in one.message for one in news(await served.run(SAMPLE), "pulling"))


async def test_a_container_that_is_paused_or_eats_its_memory_is_told_as_such(serving_in_docker):
    async with serving_in_docker(memory="200m") as (served, url):
        await served.run(SAMPLE)
        await set_manners(url, token_seconds=0.2)
        with pytest.raises(BackendFailed, match="paused"):
            await harmed(served, lambda: asyncio.to_thread(to_container, "pause"))
        assert tokens(await served.run(SAMPLE))
        await set_faults(url, eat_memory=True, times=1, delay_seconds=5)
        with pytest.raises(BackendFailed, match="more memory than it may have") as caught:
            await served.run(SAMPLE)
        assert "AUTOMARKET_OLLAMA_MEMORY" in caught.value.hint
        assert tokens(await served.run(SAMPLE))


async def test_a_cancel_stops_the_engine_in_the_container(serving_in_docker):
    async with serving_in_docker() as (served, url):
        await served.run(SAMPLE)
        await set_manners(url, token_seconds=0.05)
        for _ in range(5):
            stream = served.stream(served.header(SAMPLE), chunks_of(SAMPLE))
            async for event in stream:
                if event.HasField("text_delta"):
                    break
            await stream.aclose()
        await asyncio.sleep(1)
        written = container_notes("ollama", "written")
        assert len(written) == 6
        assert all(one["tokens"] <= 20 and not one["reason"] for one in written[1:])
