"""The API client against the stand-in, which Ollama's own client takes for an Ollama."""

from __future__ import annotations

import json

import pytest
import pytest_asyncio

from automarket.errors import (
    BackendFailed,
    ContextTooLong,
    InvalidRequestError,
    ModelUnknown,
    ProviderBusy,
    ProviderNotConfigured,
)
from provider_servers.ollama import client as module
from provider_servers.ollama.client import OllamaClient, is_ready
from provider_servers.ollama.faults import line_error, status_error
from provider_servers.runtime.http.transport import new_local_http
from tests.backends.ollama.running import set_manners
from tests.provider_servers.ollama.test_provider import until
from tests.support.mesh import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKED = [{"role": "user", "content": "Tell me of the harbour."}]


@pytest_asyncio.fixture(loop_scope="module")
async def http():
    async with new_local_http() as http:
        yield http


@pytest.fixture
def client(backend, http):
    return OllamaClient(backend.url, http)


async def parts_of(client, asked=ASKED, **options):
    return [part async for part in client.chat("llama3.2", asked, options=options)]


async def test_what_the_backend_has(client):
    [held] = await client.models()
    assert (held.name, held.family, held.parameters, held.quantization) == (
        "llama3.2:latest",
        "llama",
        "3.2B",
        "Q4_K_M",
    )
    assert held.capabilities == ("completion", "tools")
    assert await client.loaded() == []
    assert (await client.show("llama3.2"))["details"]["format"] == "gguf"
    await client.delete("llama3.2")
    assert await client.models() == []
    for call in (client.show, client.delete):
        with pytest.raises(ModelUnknown, match="llama3"):
            await call("llama3.2")


async def test_readiness(backend, http):
    assert await is_ready(backend.url, http)
    assert not await is_ready(f"http://127.0.0.1:{free_port()}", http)
    await backend.misbehave(never_healthy=True)
    assert not await is_ready(backend.url, http)


async def test_a_pull_ends_with_all_of_its_bytes(client):
    states = [state async for state in client.pull("gemma3")]
    assert states[0].status == "pulling manifest"
    assert states[-1].status == "success"
    assert states[-1].completed == states[-1].total == 3_500_000
    shares = [state.fraction for state in states if state.fraction is not None]
    assert shares == sorted(shares)
    assert {one.name for one in await client.models()} == {"llama3.2:latest", "gemma3:latest"}


async def pulled(client, model="gemma3"):
    return [state async for state in client.pull(model)]


async def test_pulls_that_fail(backend, client, http):
    with pytest.raises(ModelUnknown, match="'no-such-model'") as caught:
        await pulled(client, "no-such-model")
    assert "ollama.com/library" in caught.value.hint
    for said, hint in (("dial tcp: no such host", "needs the network"), ("write x: no space left on device", "volume")):
        await set_manners(backend.url, pull_error=said)
        with pytest.raises(BackendFailed, match=said) as caught:
            await pulled(client)
        assert hint in caught.value.hint
        assert caught.value.metadata["phase"] == "pulling"
    await set_manners(backend.url, stall_after=3)
    with pytest.raises(BackendFailed, match=r"nothing for 0.3 s"):
        await pulled(OllamaClient(backend.url, http, pull_idle_seconds=0.3))


async def test_a_chat_and_its_counts(client):
    parts = await parts_of(client, seed=5, num_predict=12)
    assert [token for part in parts for token in part.tokens]
    assert sum(len(part.tokens) for part in parts) == 12
    assert parts[-1].ending["eval_count"] == 12
    assert parts[-1].ending["done_reason"] == "length"
    assert parts[-1].ending["total_duration"] > 0


@pytest.mark.parametrize("size", [1, 3, 65536])
async def test_answers_may_be_cut_at_any_byte(backend, client, size):
    whole = "".join(token for part in await parts_of(client, seed=9) for token in part.tokens)
    await set_manners(backend.url, piece_bytes=size)
    assert "".join(token for part in await parts_of(client, seed=9) for token in part.tokens) == whole


async def test_an_error_in_a_stream_keeps_what_came_before(backend, client):
    await set_manners(backend.url, error_after=3, burst=10)
    said = []
    with pytest.raises(BackendFailed, match="running the model"):
        async for part in client.chat("llama3.2", ASKED):
            said += part.tokens
    assert len(said) == 3


async def test_a_stream_without_its_end_is_a_failure(backend, client):
    await set_manners(backend.url, cut_after=3)
    with pytest.raises(BackendFailed, match="before its end marker"):
        await parts_of(client)


async def test_a_busy_backend_is_asked_again(backend, client, monkeypatch):
    monkeypatch.setattr(module, "BUSY_DELAYS", (0.01, 0.02))
    await backend.misbehave(status=503, times=2, path="/api/chat")
    assert (await parts_of(client))[-1].ending
    await backend.misbehave(status=503, path="/api/chat")
    with pytest.raises(ProviderBusy) as caught:
        await parts_of(client)
    assert caught.value.retry_after
    await until(lambda: len(backend.notes("end", path="/api/chat")) == 3 + 3)


async def test_answers_that_are_none(backend, client):
    await backend.misbehave(garbage=True, path="/api")
    with pytest.raises(BackendFailed, match="no JSON"):
        await parts_of(client)
    with pytest.raises(BackendFailed, match="no JSON"):
        await client.show("llama3.2")
    await backend.misbehave(half=True, path="/api")
    with pytest.raises(BackendFailed):
        await parts_of(client)


async def test_nobody_there(http):
    with pytest.raises(BackendFailed, match="connection to Ollama failed"):
        await parts_of(OllamaClient(f"http://127.0.0.1:{free_port()}", http))


async def test_silence_has_an_end(backend, client, monkeypatch):
    monkeypatch.setattr(module, "LOAD_SECONDS", 0.3)
    await set_manners(backend.url, load_seconds=5)
    with pytest.raises(BackendFailed):
        await parts_of(client)
    monkeypatch.setattr(module, "LOAD_SECONDS", 30)
    monkeypatch.setattr(module, "TOKEN_SECONDS", 0.3)
    await set_manners(backend.url, token_seconds=1)
    with pytest.raises(BackendFailed, match="nothing for"):
        await parts_of(client)


CONTEXT = "request (9000 tokens) exceeds the available context size (4096 tokens), try increasing it"


@pytest.mark.parametrize(
    ("status", "said", "kind", "retry", "hint"),
    [
        (400, '"x" does not support chat', InvalidRequestError, "never", ""),
        (400, "model is required", InvalidRequestError, "never", ""),
        (400, json.dumps({"error": {"code": 400, "message": CONTEXT}}), ContextTooLong, "never", "context_tokens"),
        (400, "the input length exceeds the context length", ContextTooLong, "never", "context_tokens"),
        (401, "unauthorized", ProviderNotConfigured, "other", "ollama signin"),
        (402, "payment required", ProviderNotConfigured, "other", "ollama signin"),
        (403, "forbidden", ProviderNotConfigured, "other", "ollama signin"),
        (404, "model 'x' not found", ModelUnknown, "never", "ollama.com/library"),
        (499, "request canceled", InvalidRequestError, "never", ""),
        (500, "model requires more system memory (9 GiB) than is available", BackendFailed, "other", "smaller model"),
        (500, "Failed to create new sequence: failed to process inputs: image: unknown format", InvalidRequestError,
         "never", "PNG"),
        (500, "llama runner process has terminated", BackendFailed, "other", ""),
        (502, "cloud upstream", BackendFailed, "other", ""),
        (503, "server busy, please try again.  maximum pending requests exceeded", ProviderBusy, "other", "fallback"),
    ],
)  # fmt: skip
async def test_each_refusal_has_its_class_its_advice_and_its_hint(status, said, kind, retry, hint):
    error = status_error(status, json.dumps({"error": said}).encode(), "x")
    assert type(error) is kind
    assert (CONTEXT if said.startswith("{") else said) in error.message
    assert error.metadata["upstream_code"] == str(status)
    assert error.metadata.get("retry", error.retry) == retry
    assert hint in (error.hint or "")
    assert (error.retry_after is None) == (status != 503)
    if kind is ContextTooLong and said.startswith("{"):
        assert (error.metadata["context_tokens"], error.metadata["request_tokens"]) == ("4096", "9000")


async def test_refusals_that_say_nothing():
    assert "bad gateway" in status_error(502, b"<html>bad gateway</html>", "x").message
    assert "answered 500" in status_error(500, b"", "x").message


async def test_a_conversation_that_is_too_long_is_not_cut(backend, client):
    long = [{"role": "user", "content": "word " * 5000}]
    with pytest.raises(ContextTooLong) as caught:
        await parts_of(client, long)
    assert (caught.value.metadata["context_tokens"], caught.value.metadata["request_tokens"]) == ("4096", "5001")
    assert (await parts_of(client, long, num_ctx=8192))[-1].ending


async def test_an_error_line_names_the_model():
    assert line_error({"error": "boom"}, "x").metadata["model"] == "x"


async def test_no_proxy_is_asked_for_a_backend(backend, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    async with new_local_http() as http:
        assert await OllamaClient(backend.url, http).version()
