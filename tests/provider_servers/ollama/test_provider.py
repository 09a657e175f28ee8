"""The provider served for real, over the stand-in on this host."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from automarket.errors import BackendFailed, ModelUnknown, ProviderBusy, ServiceStartFailed
from provider_servers.ollama import OllamaProvider
from provider_servers.ollama import client as client_module
from provider_servers.runtime import ServiceState
from provider_servers.runtime.http.transport import new_local_http
from provider_servers.runtime.testing import CHECKS, Sample, chunks_of, serving
from services.ollama import OllamaSettings
from tests.backends.ollama.running import noted, set_manners
from tests.provider_servers.ollama.conftest import news, thoughts, tokens, usage
from tests.support.backends import serving_backend
from tests.support.mesh import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROMPT = {"text": "Tell me of the harbour."}
MODEL = "llama3.2"


async def until(condition, seconds=10.0):
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds, f"not within {seconds} s"
        await asyncio.sleep(0.01)
    return time.monotonic() - begin


def said(events):
    return "".join(tokens(events))


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_it_keeps_the_contract(check, served):
    bad = {"temperature": 3, "top_p": 0, "top_k": 0, "max_tokens": 0, "seed": 1.5, "stop": "x", "keep_alive": "5m"}
    await check(served, Sample(PROMPT, {"seed": 1}, MODEL, bad_options=bad))


async def test_tokens_come_as_they_are_made_and_are_counted(backend, served):
    events = await served.run(Sample(PROMPT, {"seed": 5, "max_tokens": 12}, MODEL))
    assert len(tokens(events)) == 12
    assert (usage(events).unit, usage(events).input_units, usage(events).output_units) == ("token", 6, 12)
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[:3] == ["accepted", "output_started", "text_delta"]
    assert kinds[-3:] == ["usage", "output_finished", "finished"]
    [finished] = [event.output_finished for event in events if event.HasField("output_finished")]
    assert finished.size_bytes == len(said(events).encode())


async def test_tokens_that_arrive_together_travel_together(backend, served):
    await set_manners(backend.url, burst=100)
    events = await served.run(Sample(PROMPT, {"seed": 5, "max_tokens": 50}, MODEL))
    deltas = [event.text_delta for event in events if event.HasField("text_delta")]
    assert len(tokens(events)) >= 20
    assert len(deltas) <= 3


@pytest.mark.parametrize("size", [1, 3])
async def test_a_text_is_the_same_however_it_is_cut(backend, served, size):
    sample = Sample(PROMPT, {"seed": 9}, MODEL)
    whole = said(await served.run(sample))
    await set_manners(backend.url, piece_bytes=size)
    assert said(await served.run(sample)) == whole


async def test_options_reach_the_engine(backend, served):
    async def text(**options):
        return said(await served.run(Sample(PROMPT, options, MODEL)))

    plain = await text(seed=7)
    assert await text(seed=7) == plain
    assert await text(seed=8) != plain
    assert await text(seed=7, system_prompt="You are a gull.") != plain
    assert await text(seed=7, temperature=0) == await text(seed=7, top_k=1)
    word = plain.split()[4]
    assert word not in await text(seed=7, stop=[word])
    await text(seed=7, keep_alive=0)
    assert [model async for model in _loaded(backend)] == []
    await text(seed=7, keep_alive=60)
    assert [model async for model in _loaded(backend)] == ["llama3.2:latest"]


async def _loaded(backend):
    async with new_local_http() as http:
        for name in await client_module.OllamaClient(backend.url, http).loaded():
            yield name


async def test_a_model_that_is_not_there_is_pulled_first(backend, served):
    await set_manners(backend.url, pull_seconds=2)
    events = await served.run(Sample(PROMPT, model="gemma3"))
    pulls = news(events, "pulling")
    shares = [one.fraction for one in pulls if one.HasField("fraction")]
    assert len(shares) >= 4
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert any(one.message == "pulling gemma3: 3.5 of 3.5 MB" for one in pulls)
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds.index("accepted") >= len(pulls)
    assert tokens(events)
    assert not news(await served.run(Sample(PROMPT, model="gemma3")), "pulling")


async def test_the_mesh_is_told_of_new_models(backend, served):
    told = []
    served.provider.when_models_change(lambda: told.append(True))
    await until(lambda: "3.2B" in served.provider.models()[0].description)
    names = [model.id for model in served.provider.models()]
    assert names == ["llama3.2", "smollm2:135m", "unheard-of", "gemma3", "qwen3"]
    told.clear()
    await served.run(Sample(PROMPT, model="smollm2:135m"))
    assert told
    models = {model.id: model for model in served.provider.models()}
    assert list(models)[:2] == ["llama3.2", "smollm2:135m"]
    assert "135M" in models["smollm2:135m"].description
    assert "pulled" in models["qwen3"].description
    assert models["llama3.2"].aliases == ("llama3.2:latest",)
    assert tokens(await served.run(Sample(PROMPT, model="llama3.2:latest")))


async def test_how_long_a_context_is_is_asked_once_for_each_model(backend, served):
    await until(lambda: served.provider.models()[0].context_tokens)
    first, *others = served.provider.models()
    assert (first.id, first.context_tokens) == ("llama3.2", 131_072)
    assert {one.context_tokens for one in others} == {None}  # they are not there yet
    await served.run(Sample(PROMPT, model="smollm2:135m"))
    assert served.provider.models()[1].context_tokens == 131_072
    await served.provider._refresh(client_module.OllamaClient(backend.url, served.provider._http))
    assert len(backend.notes("end", path="/api/show")) == 2


async def test_models_that_write_no_text_are_not_offered(backend, served):
    async with new_local_http() as http:
        async for _ in client_module.OllamaClient(backend.url, http).pull("nomic-embed-text"):
            pass
    await served.run(Sample(PROMPT, model=MODEL))
    await until(lambda: len(served.provider._held) == 2, 15)
    assert "nomic-embed-text" not in [model.id for model in served.provider.models()]


async def test_a_model_that_the_library_lacks(served):
    with pytest.raises(ModelUnknown, match="library has no model 'unheard-of'") as caught:
        await served.run(Sample(PROMPT, model="unheard-of"))
    assert "ollama.com/library" in caught.value.hint


async def test_a_pull_that_fails_says_why(backend, served):
    await set_manners(backend.url, pull_error="dial tcp: lookup registry.ollama.ai: no such host")
    with pytest.raises(BackendFailed, match="no such host") as caught:
        await served.run(Sample(PROMPT, model="gemma3"))
    assert "network" in caught.value.hint


async def test_a_cancelled_pull_ends(backend, served):
    await set_manners(backend.url, pull_seconds=30)
    running = asyncio.create_task(served.run(Sample(PROMPT, model="gemma3")))
    await noted(backend, "begin", 2)
    await until(lambda: backend.notes("begin", path="/api/pull"))
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await until(lambda: served.server.active_calls == 0, 0.5)
    await until(lambda: backend.notes("end", path="/api/pull"), 3)


async def test_what_a_model_thinks_is_not_said(backend, served):
    await served.run(Sample(PROMPT, {"max_tokens": 1}, "qwen3"))
    events = await served.run(Sample(PROMPT, {"seed": 1}, "qwen3"))
    assert "Hm." not in said(events)
    assert thoughts(events) == "Hm. Boats."
    request = served.header(Sample(PROMPT, {"seed": 1}, "qwen3"))
    request.header.text_to_text.reasoning_effort = "none"
    assert not thoughts(await served.transform(request, chunks_of(Sample(PROMPT))))


async def test_a_model_that_loads_gives_signs_of_life(backend, served):
    await set_manners(backend.url, load_seconds=2.5)
    begin, seen = time.monotonic(), []
    sample = Sample(PROMPT, model=MODEL)
    async for event in served.stream(served.header(sample), chunks_of(sample)):
        seen.append((time.monotonic() - begin, event.WhichOneof("event")))  # noqa: PERF401 - when each came
    assert [kind for _, kind in seen][:2] == ["progress", "progress"]
    assert seen[0][0] < 1.8


async def test_an_error_in_the_stream_leaves_what_was_received(backend, served):
    await set_manners(backend.url, error_after=3)
    sample, received = Sample(PROMPT, model=MODEL), []
    with pytest.raises(BackendFailed, match="running the model"):
        async for event in served.stream(served.header(sample), chunks_of(sample)):
            received += tokens([event])
    assert len(received) == 3


async def test_a_stream_that_is_cut_is_no_success(backend, served):
    await set_manners(backend.url, cut_after=3)
    with pytest.raises(BackendFailed, match="before its end marker"):
        await served.run(Sample(PROMPT, model=MODEL))


async def test_a_busy_backend(backend, served, monkeypatch):
    monkeypatch.setattr(client_module, "BUSY_DELAYS", (0.01, 0.02))
    await backend.misbehave(status=503, times=2, path="/api/chat")
    assert tokens(await served.run(Sample(PROMPT, model=MODEL)))
    await backend.misbehave(status=503, path="/api/chat")
    with pytest.raises(ProviderBusy) as caught:
        await served.run(Sample(PROMPT, model=MODEL))
    assert caught.value.retry_after


async def test_a_cancel_stops_the_engine(backend, served):
    await set_manners(backend.url, token_seconds=0.05)
    sample = Sample(PROMPT, {"seed": 3}, MODEL)
    for number in range(1, 26):
        stream = served.stream(served.header(sample), chunks_of(sample))
        async for event in stream:
            if event.HasField("text_delta"):
                break
        begin = time.monotonic()
        await stream.aclose()
        assert time.monotonic() - begin < 0.2
        written = await noted(backend, "written", number, 3)
        assert not written[-1]["reason"]
        assert written[-1]["tokens"] <= 15
    await until(lambda: served.server.active_calls == 0, 0.5)


async def test_many_at_once(backend, served):
    await set_manners(backend.url, token_seconds=0.01)
    samples = [Sample(PROMPT, {"seed": seed}, MODEL) for seed in range(24)]
    answers = await asyncio.gather(*map(served.run, samples))
    assert len({said(events) for events in answers}) == 24


async def test_a_backend_that_dies_in_the_middle(provider_at):
    async with serving_backend("ollama") as backend, serving(provider_at(backend.url)) as served:
        await served.run(Sample(PROMPT, model=MODEL))
        await set_manners(backend.url, token_seconds=0.1)
        sample, received = Sample(PROMPT, model=MODEL), []
        with pytest.raises(BackendFailed):
            async for event in served.stream(served.header(sample), chunks_of(sample)):
                received += tokens([event])
                if len(received) == 2:
                    await backend.kill()
        assert served.provider.models()[0].id == "llama3.2"


async def test_a_backend_that_is_not_there_is_named(short_dir):
    settings = OllamaSettings(base_url=f"http://127.0.0.1:{free_port()}", state_dir=short_dir, start_seconds=1)
    async with serving(OllamaProvider(settings)) as served:
        assert (await served.provider.service_status()).state == ServiceState.FAILED
        with pytest.raises(ServiceStartFailed, match="does not answer"):
            await served.run(Sample(PROMPT))
        assert [model.id for model in served.provider.models()] == ["llama3.2", "gemma3", "qwen3"]


async def test_a_base_url_needs_no_docker(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert not OllamaProvider.availability().available
    monkeypatch.setenv("AUTOMARKET_OLLAMA_BASE_URL", "http://127.0.0.1:11434")
    assert OllamaProvider.availability().available
