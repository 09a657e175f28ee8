"""Vendors, the whole path as a user has it: a key in the environment, `automarket up`, and the command line."""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest

import automarket
from automarket.errors import ContextTooLong, ProviderNotConfigured, RateLimited
from tests.support.mesh import mesh_running
from tests.vendors.running import Running, environment
from tests.vendors.said import KEY, TEXT, TOKENS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

MODELS = "ok,slow,context,rate-limit,error-in-stream,cut"


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


def everything_below(folder: Path) -> str:
    """Give all that the mesh has written."""
    return "\n".join(path.read_bytes().decode(errors="replace") for path in folder.rglob("*") if path.is_file())


async def test_a_key_in_the_environment_is_all_that_it_takes(short_dir):
    async with mesh_with_vendors(short_dir, "openai", "anthropic", "openrouter", "together") as (running, _):

        async def cli(*arguments):
            done = await asyncio.to_thread(running.cli, *arguments)
            assert done.returncode == 0, done.stderr
            assert KEY not in done.stdout + done.stderr
            return done.stdout

        assert TEXT in await cli("chat", "--model", "ok", "Tell me of the harbour.")
        listed = json.loads(await cli("models", "--provider", "anthropic", "--json"))
        assert "claude-opus-5" in str(listed)
        compared = await cli("compare", "Tell me.", "--models", "ok@openai,ok@anthropic,cut@together", "--json")
        assert compared.count(json.dumps(TEXT, ensure_ascii=False)[1:-1]) == 2, compared
        assert "ready" in await cli("services", "status", "openai")
        await cli("providers")
        assert KEY not in str(running.children())
    assert KEY not in everything_below(short_dir)


async def test_a_vendor_that_is_not_configured_says_what_mends_it(short_dir):
    async with (
        mesh_with_vendors(short_dir, "openai", AUTOMARKET_ANTHROPIC_API_KEY="", ANTHROPIC_API_KEY="") as (running, _),
        automarket.connect(running.address) as mesh,
    ):
        with pytest.raises(ProviderNotConfigured, match="ANTHROPIC_API_KEY") as caught:
            model = await mesh.provider("anthropic").text_to_text("claude-opus-5")
            await model.transform("Tell me.")
        assert "ANTHROPIC_API_KEY" in f"{caught.value} {caught.value.hint}"


async def test_a_call_goes_to_another_vendor_before_its_first_event_and_never_later(short_dir):
    async with (
        mesh_with_vendors(short_dir, "openai", "anthropic") as (running, _),
        automarket.connect(running.address) as mesh,
    ):
        model = await mesh.provider("openai").text_to_text("rate-limit")
        with pytest.raises(RateLimited) as caught:
            await model.transform("Tell me.")
        assert caught.value.retry_after == 7
        there = {"fallbacks": [automarket.Fallback("ok", "anthropic")]}
        text = await model.transform("Tell me.", **there)
        assert text.content == TEXT
        assert text.metadata.completion.served_model == "claude-served-20260801"
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


async def test_a_cancel_reaches_the_vendor_through_the_mesh(short_dir):
    async with (
        mesh_with_vendors(short_dir, "openai") as (running, vendors),
        automarket.connect(running.address) as mesh,
    ):
        model = await mesh.provider("openai").text_to_text("slow")
        for number in range(10):
            async with model.transform_stream("Tell me.") as stream:
                async for piece in stream:
                    assert piece.content == "a"
                    break
            for _ in range(200):
                if len(vendors["openai"].server.dropped) > number:
                    break
                await asyncio.sleep(0.005)
            assert len(vendors["openai"].server.dropped) == number + 1
