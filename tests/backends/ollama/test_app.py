"""Ollama's own Python client takes the stand-in for an Ollama."""

from __future__ import annotations

import json

import httpx
import ollama
import pytest
import pytest_asyncio

from tests.backends.ollama.running import noted, reset, set_manners
from tests.support.backends import serving_backend

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one server serves all tests

ASKED = [{"role": "user", "content": "Tell me of the harbour."}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running():
    async with serving_backend("ollama") as backend:
        yield backend


@pytest_asyncio.fixture(loop_scope="module")
async def backend(running):
    await reset(running, "llama3.2")
    return running


@pytest_asyncio.fixture(loop_scope="module")
async def client(backend):
    client = ollama.AsyncClient(host=backend.url)
    yield client
    await client._client.aclose()


async def test_the_server_says_what_it_is(backend):
    async with httpx.AsyncClient(base_url=backend.url) as http:
        assert (await http.get("/")).text == "Ollama is running"
        assert (await http.head("/")).status_code == 200
        assert "version" in (await http.get("/api/version")).json()


async def test_models_are_listed_shown_and_removed(client):
    [model] = (await client.list()).models
    assert (model.model, model.details.family, model.details.quantization_level) == (
        "llama3.2:latest",
        "llama",
        "Q4_K_M",
    )
    shown = await client.show("llama3.2")
    assert shown.capabilities == ["completion", "tools"]
    assert shown.modelinfo["llama.context_length"] > 0
    assert (await client.delete("llama3.2")).status == "success"
    assert (await client.list()).models == []
    for call in (client.show, client.delete):
        with pytest.raises(ollama.ResponseError, match=r"model .llama3\.2. not found") as caught:
            await call("llama3.2")
        assert caught.value.status_code == 404


async def test_a_pull_gives_the_bytes_of_two_layers(client):
    lines = [line async for line in await client.pull("smollm2:135m", stream=True)]
    assert [lines[0].status, lines[-1].status] == ["pulling manifest", "success"]
    layers = {line.digest: line for line in lines if line.digest}
    assert len(layers) == 2
    assert all(line.completed == line.total > 0 for line in layers.values())
    assert (await client.pull("gemma3")).status == "success"
    assert {one.model for one in (await client.list()).models} == {"llama3.2:latest", "smollm2:135m", "gemma3:latest"}


async def test_a_model_that_the_library_lacks(client):
    with pytest.raises(ollama.ResponseError, match="file does not exist") as caught:
        await client.pull("no-such-model")
    assert caught.value.status_code == 500
    with pytest.raises(ollama.ResponseError, match="file does not exist"):
        async for _ in await client.pull("no-such-model", stream=True):
            pass


async def test_a_chat_streams_what_it_answers_at_once(client):
    options = {"seed": 5, "num_predict": 12}
    whole = await client.chat("llama3.2", ASKED, options=options)
    parts = [part async for part in await client.chat("llama3.2", ASKED, stream=True, options=options)]
    assert "".join(part.message.content for part in parts) == whole.message.content
    assert [part.done for part in parts] == [*[False] * 12, True]
    assert parts[-1].done_reason == whole.done_reason == "length"
    assert (parts[-1].eval_count, parts[-1].prompt_eval_count) == (12, 6)
    assert parts[-1].total_duration >= parts[-1].eval_duration > 0


async def test_generate_answers_too(client):
    options = {"seed": 5, "temperature": 0, "stop": ["harbour"]}
    whole = await client.generate("llama3.2", "Tell me.", options=options)
    parts = [part async for part in await client.generate("llama3.2", "Tell me.", stream=True, options=options)]
    assert "".join(part.response for part in parts) == whole.response
    assert "harbour" not in whole.response


async def test_thinking_comes_apart_from_the_answer(client):
    await client.pull("qwen3")
    answer = await client.chat("qwen3", ASKED)
    assert answer.message.thinking
    assert (await client.chat("qwen3", ASKED, think=False)).message.thinking is None
    with pytest.raises(ollama.ResponseError, match="does not support thinking"):
        await client.chat("llama3.2", ASKED, think=True)


async def test_models_are_loaded_and_unloaded(client):
    assert (await client.ps()).models == []
    assert (await client.chat("llama3.2", [], keep_alive="10m")).done_reason == "load"
    [loaded] = (await client.ps()).models
    assert loaded.model == "llama3.2:latest"
    assert (await client.chat("llama3.2", [], keep_alive=0)).done_reason == "unload"
    assert (await client.ps()).models == []


async def test_a_fault_in_a_stream_is_an_error_under_200(backend, client):
    await set_manners(backend.url, error_after=3)
    said = []
    with pytest.raises(ollama.ResponseError, match="running the model") as caught:
        async for part in await client.chat("llama3.2", ASKED, stream=True):
            said.append(part.message.content)  # noqa: PERF401 - what came before the error is what is asked
    assert len(said) == 3
    assert caught.value.status_code == -1


async def test_a_stream_may_be_cut(backend, client):
    await set_manners(backend.url, cut_after=3)
    parts = [part async for part in await client.chat("llama3.2", ASKED, stream=True)]
    assert [part.done for part in parts] == [False] * 3


async def test_a_server_that_is_busy_says_so_and_answers_later(backend, client):
    await backend.misbehave(status=503, times=2, path="/api/chat")
    for _ in range(2):
        with pytest.raises(ollama.ResponseError) as caught:
            await client.chat("llama3.2", ASKED)
        assert caught.value.status_code == 503
    assert (await client.chat("llama3.2", ASKED)).done


@pytest.mark.parametrize("size", [1, 3, 7])
async def test_lines_may_be_cut_in_the_middle_of_a_character(backend, client, size):
    whole = await client.chat("llama3.2", ASKED, options={"seed": 9})
    await set_manners(backend.url, piece_bytes=size)
    parts = [part async for part in await client.chat("llama3.2", ASKED, stream=True, options={"seed": 9})]
    assert "".join(part.message.content for part in parts) == whole.message.content


async def test_lines_are_framed_as_ollama_frames_them(backend):
    async with httpx.AsyncClient(base_url=backend.url) as http:
        answer = await http.post("/api/chat", json={"model": "llama3.2", "messages": ASKED})
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        assert answer.text.endswith("}\n")
        first, *_, last = answer.text.splitlines()
        assert list(json.loads(first)) == ["model", "created_at", "message", "done"]
        assert json.loads(last)["message"] == {"role": "assistant", "content": ""}
        for body, said in ((b"", "missing request body"), (b"{}", "model is required")):
            answer = await http.post("/api/chat", content=body)
            assert (answer.status_code, answer.json()) == (400, {"error": said})


async def test_the_work_ends_when_the_client_goes(backend):
    await set_manners(backend.url, token_seconds=0.02)
    asked = {"model": "llama3.2", "messages": ASKED}
    async with httpx.AsyncClient(base_url=backend.url) as http, http.stream("POST", "/api/chat", json=asked) as answer:
        await anext(answer.aiter_raw())
    [written] = await noted(backend, "written")
    assert written["tokens"] <= 20
    assert not written["reason"]


async def test_tools_formats_and_pictures_as_ollamas_own_client_takes_them(client, media):
    def tides(where: str) -> str:
        """Tell the tides."""
        return where

    answer = await client.chat("llama3.2", [{"role": "user", "content": "tides?"}], tools=[tides])
    [call] = answer.message.tool_calls
    assert (call.function.name, call.function.arguments) == ("tides", {"words": ["tides?"]})
    told = await client.chat("llama3.2", ASKED, format={"properties": {"b": {"type": "integer"}, "a": {}}})
    assert told.message.content == '{"b": 7, "a": "a boat"}'
    asked = [{"role": "user", "content": "What is it?", "images": [media.picture_png()]}]
    with pytest.raises(ollama.ResponseError, match="missing data required for image input"):
        await client.chat("llama3.2", asked)
