"""Vendors, the whole path as a user has it: a key in the environment, `automarket up`, and the command line."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import shutil
import subprocess
import tempfile
from contextlib import asynccontextmanager, closing
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio

import automarket
from automarket import Message
from automarket.errors import AutoMarketError, BackendFailed, ContextTooLong, ProviderNotConfigured, RateLimited
from tests.support.collector import collecting
from tests.support.mesh import free_port, mesh_running, processes
from tests.support.require import require
from tests.vendors.chat import PACE_SECONDS
from tests.vendors.running import Running, environment
from tests.vendors.said import KEY, TEXT, TOKENS

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

VENDORS = ("openai", "anthropic", "openrouter", "together")
FAILING = ("context", "rate-limit", "failed", "overloaded", "redirect", "page", "cut", "garbage", "error-in-stream")
ONLY_HERE = ("overloaded+1", "rate-limit+1", "failed+1", "rate-limit+2", "never")
MODELS = ",".join(("ok", "slow", "paced", *FAILING, *ONLY_HERE))


def repeating(handle):
    """Answer as a vendor does that repeats in an error what it was sent, the key with it."""

    def answered(request):
        reply = handle(request)
        if reply.status < 400:
            return reply
        error = {"message": f"it failed: {request.headers}", "type": str(request.headers), "code": KEY}
        body = json.dumps({"type": "error", "error": error, "request_id": KEY}).encode()
        return dataclasses.replace(reply, body=body, headers={**reply.headers, "x-request-id": KEY})

    return answered


@asynccontextmanager
async def mesh_with_vendors(folder, *names, key=KEY, **more):
    """Run a mesh with these vendors' stand-ins; give it and them."""
    with contextlib.ExitStack() as ends:
        running = {name: ends.enter_context(closing(Running(name))) for name in names}
        variables = {k: v for name, one in running.items() for k, v in environment(name, one.url).items()}
        for name in list(variables):
            if name.endswith("_MODELS"):
                variables[name] = MODELS
            if name.endswith("_API_KEY"):
                variables[name] = key
        async with mesh_running(folder, *names, environment=variables | more) as mesh:
            yield mesh, running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared():
    """Run one mesh with all vendors for the tests of this module; give it, the stand-ins, and who takes its traces."""
    folder = Path(tempfile.mkdtemp(prefix="am-", dir="/tmp"))
    try:
        async with collecting() as (collector, endpoint):
            more = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "500"}
            async with mesh_with_vendors(folder, *VENDORS, **more) as (running, vendors):
                yield running, vendors, collector
        assert KEY not in everything_below(folder)
        assert KEY not in repr([collector.spans, collector.points])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture(loop_scope="module")
async def mesh(shared):
    async with automarket.connect(shared[0].address) as mesh:
        yield mesh


def everything_below(folder: Path) -> str:
    """Give all that the mesh has written."""
    return "\n".join(path.read_bytes().decode(errors="replace") for path in folder.rglob("*") if path.is_file())


async def cli(running, *arguments):
    done = await asyncio.to_thread(running.cli, *arguments)
    assert done.returncode == 0, done.stderr
    assert KEY not in done.stdout + done.stderr
    return done.stdout


async def test_a_key_in_the_environment_is_all_that_it_takes(shared):
    running = shared[0]
    assert TEXT in await cli(running, "chat", "--model", "ok", "Tell me of the harbour.")
    listed = json.loads(await cli(running, "models", "--provider", "anthropic", "--json"))
    assert "claude-opus-5" in str(listed)
    compared = await cli(running, "compare", "Tell me.", "--models", "ok@openai,ok@anthropic,cut@together", "--json")
    assert compared.count(json.dumps(TEXT, ensure_ascii=False)[1:-1]) == 2, compared
    assert "ready" in await cli(running, "services", "status", "openai")
    await cli(running, "providers")


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_key_is_shown_nowhere_whatever_fails(shared, mesh, vendor):
    running, vendors, collector = shared
    server, provider = vendors[vendor].server, mesh.provider(vendor)
    said, commands = [], set()
    before, server._handle = server._handle, repeating(server._handle)
    try:
        for name in FAILING:
            model = await provider.text_to_text(name)
            stream = model.transform_stream("Tell me of the harbour.")
            with pytest.raises(AutoMarketError) as caught:
                async with stream:
                    async for _ in stream:
                        commands |= set(processes().values())
            error = caught.value
            said += [repr(error), str(error), repr(vars(error)), repr(await provider.diagnostics(stream.request_id))]
        configured = await provider.configure(api_key=KEY)
        told = await asyncio.to_thread(running.cli, "chat", "--model", f"{FAILING[0]}@{vendor}", "Hi.", "--json")
        assert told.returncode
        said += [told.stdout, told.stderr, repr(configured), repr(await provider.info()), repr(await provider.models())]
        said += [repr(await provider.service_status(log_lines=100))]
        commands |= set(processes().values())
    finally:
        server._handle = before
    assert len(said) == 4 * len(FAILING) + 6
    assert not [one for one in said if KEY in one or KEY[:12] in one or KEY[-12:] in one]
    assert not [one for one in commands if KEY in one]
    for _ in range(200):  # the spans of calls that failed have come, too
        spans = [one for one in collector.spans if one.service == f"provider-{vendor}" and one.error]
        if len(spans) >= len(FAILING):
            break
        await asyncio.sleep(0.05)
    assert len(spans) >= len(FAILING)
    assert KEY not in repr([spans, collector.points]) + everything_below(running.data_dir)


async def test_a_vendor_that_is_not_configured_says_what_mends_it(short_dir):
    async with (
        mesh_with_vendors(short_dir, "openai", AUTOMARKET_ANTHROPIC_API_KEY="", ANTHROPIC_API_KEY="") as (running, _),
        automarket.connect(running.address) as mesh,
    ):
        with pytest.raises(ProviderNotConfigured, match="ANTHROPIC_API_KEY") as caught:
            model = await mesh.provider("anthropic").text_to_text("claude-opus-5")
            await model.transform("Tell me.")
        assert "ANTHROPIC_API_KEY" in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_megabyte_goes_with_the_call_and_eight_by_digest(shared, mesh, vendor):
    model = await mesh.provider(vendor).text_to_text("ok")
    asked = shared[1][vendor].server
    long = "Ärger im Hafen. 🚢 " * 50_000
    stream = model.stream([Message.user(long)])
    assert (await stream.result()).content == TEXT
    assert not stream.report.uploads
    assert _said(asked.posts[-1].json["messages"][0]) == long
    longer = [Message.user(vendor + "é" * 4_000_000), Message.assistant("Well?"), Message.user("the end")]
    stream = model.stream(longer)
    assert (await stream.result()).content == TEXT
    [upload] = stream.report.uploads
    assert upload.sent_bytes + upload.by_file_bytes > 8_000_000
    assert _said(asked.posts[-1].json["messages"][0]) == vendor + "é" * 4_000_000
    assert _said(asked.posts[-1].json["messages"][2]) == "the end"


def _said(message):
    content = message["content"]
    return content if isinstance(content, str) else content[0]["text"]


async def test_a_call_goes_to_another_vendor_before_its_first_event_and_never_later(mesh):
    model = await mesh.provider("openai").text_to_text("rate-limit")
    there = {"fallbacks": [automarket.Fallback("ok", "anthropic")]}
    text = await model.transform("Tell me.", **there)
    assert text.content == TEXT
    assert text.metadata.completion.served_model == "claude-served-20260801"
    with pytest.raises(RateLimited) as caught:
        await model.transform("Tell me.")
    assert 0 < caught.value.retry_after <= 7
    model = await mesh.text_to_text("context", provider="openai")
    with pytest.raises(ContextTooLong):
        await model.transform("Tell me.", **there)
    model = await mesh.text_to_text("error-in-stream", provider="openai")
    said = []
    with pytest.raises(automarket.AutoMarketError):
        async with model.transform_stream("Tell me.", **there) as stream:
            async for piece in stream:
                said.append(piece.content)  # noqa: PERF401 - what came before the error counts
    assert "".join(said) == "".join(TOKENS[:3])


async def test_a_node_client_gets_each_token_when_it_is_said(shared):
    require("node")
    folder = Path(__file__).resolve().parent.parent / "clients" / "node"
    assert (folder / "node_modules").is_dir(), "run `make setup`: the Node client's packages are not installed"
    command = ["node", str(folder / "chat.mjs"), shared[0].address, "paced", "openai", "Tell me of the harbour."]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    asked, *texts, finished = map(json.loads, done.stdout.splitlines())
    assert [token for text in texts for token in text["tokens"]] == list(TOKENS)
    gaps = [after["at"] - before["at"] for before, after in pairwise(texts)]
    assert len(texts) > len(TOKENS) * 2 / 3, "they come one by one"
    assert PACE_SECONDS * 0.5 < sorted(gaps)[len(gaps) // 2] < PACE_SECONDS * 2, gaps
    assert texts[0]["at"] - asked["at"] < (finished["at"] - asked["at"]) / 2, "the first does not wait for the last"


async def test_fallbacks_are_tried_in_order_and_who_asked_to_wait_is_not_asked_again(shared, mesh):
    def asked(model):
        return {name: sum(one.json["model"] == model[name] for one in shared[1][name].server.posts) for name in model}

    chain = {"openai": "overloaded+1", "anthropic": "rate-limit+1", "openrouter": "failed+1"}
    there = [automarket.Fallback(chain[name], name) for name in ("anthropic", "openrouter")]
    there.append(automarket.Fallback("ok", "together"))
    model = await mesh.provider("openai").text_to_text(chain["openai"])
    text = await model.transform("Tell me.", fallbacks=there)
    assert (text.content, text.metadata.provider) == (TEXT, "together")
    assert asked(chain) == {"openai": 1, "anthropic": 1, "openrouter": 1}
    assert (await model.transform("Tell me.", fallbacks=there)).metadata.provider == "together"
    assert asked(chain) == {"openai": 1, "anthropic": 1, "openrouter": 2}  # only the others asked to wait
    with pytest.raises(RateLimited) as caught:  # the last that was asked says how it went
        await model.transform("Tell me.", fallbacks=there[:1])
    assert 15 < caught.value.retry_after < 21
    assert asked(chain)["anthropic"] == 1


async def test_a_fallback_may_be_another_model_of_the_same_vendor(mesh):
    model = await mesh.provider("openai").text_to_text("rate-limit+2")
    text = await model.transform("Tell me.", fallbacks=[automarket.Fallback("ok", "openai")])
    assert (text.content, text.metadata.model, text.metadata.provider) == (TEXT, "ok", "openai")


async def test_a_vendor_that_cannot_be_reached_has_fallbacks_and_one_that_says_never_has_none(shared, mesh):
    url = shared[1]["together"].url
    together = mesh.provider("together")
    there = [automarket.Fallback("ok", "openrouter")]
    await together.configure(base_url=f"http://127.0.0.1:{free_port()}/v1")
    try:
        model = await together.text_to_text("ok")
        text = await model.transform("Tell me.", fallbacks=there)
        assert (text.content, text.metadata.provider) == (TEXT, "openrouter")
    finally:
        await together.configure(base_url=url)
    assert (await model.transform("Tell me.")).metadata.provider == "together"
    model = await mesh.provider("openai").text_to_text("never")
    with pytest.raises(BackendFailed) as caught:
        await model.transform("Tell me.", fallbacks=there)
    assert caught.value.metadata["retry"] == "never"


async def test_a_cancel_reaches_the_vendor_through_the_mesh(shared, mesh):
    server = shared[1]["openai"].server
    model = await mesh.provider("openai").text_to_text("slow")
    before = len(server.dropped)
    for number in range(before, before + 10):
        async with model.transform_stream("Tell me.") as stream:
            async for piece in stream:
                assert piece.content == "a"
                break
        for _ in range(200):
            if len(server.dropped) > number:
                break
            await asyncio.sleep(0.005)
        assert len(server.dropped) == number + 1
