"""The example of a service that hears, asks a language model and speaks: streams under one deadline and one trace."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import time
import wave
from contextlib import aclosing, closing
from pathlib import Path

import pytest
import pytest_asyncio

import automarket
from automarket.errors import DeadlineExceeded, RateLimited
from automarket.rpc import telemetry
from tests.support.collector import collecting
from tests.support.mesh import mesh_running
from tests.support.require import require
from tests.vendors.chat import PACE_SECONDS
from tests.vendors.running import Running, environment
from tests.vendors.said import STORY

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

ROOT = Path(__file__).resolve().parent.parent.parent
SERVICES = {"gateway", "provider-pocketsphinx", "provider-openai", "provider-flite"}


def example():
    name = "voice_reply"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory):
    require("ffmpeg", "pocketsphinx", "flite")
    folder = tmp_path_factory.mktemp("v")
    with closing(Running("openai")) as vendor:
        async with collecting() as (collector, endpoint):
            variables = {**environment("openai", vendor.url), "AUTOMARKET_OPENAI_MODELS": "story,slow,rate-limit"}
            variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
            names = ("pocketsphinx", "flite", "openai")
            async with mesh_running(folder, *names, environment=variables) as running:
                yield running, vendor.server, collector


@pytest.fixture
def question(media):
    return media.speech_wav()


async def answered(mesh, question, **settings):
    service = example().VoiceReply(mesh, provider="openai", **settings)
    pieces = []
    try:
        async with aclosing(service.answer(question)) as voice:
            async for piece in voice:
                pieces.append(piece)  # noqa: PERF401 - what came before an error counts
    except automarket.AutoMarketError as error:
        return service.notes, pieces, error
    return service.notes, pieces, None


async def test_the_voice_begins_before_the_language_model_has_finished(place, question):
    running, vendor, collector = place

    async def ask():
        telemetry.adopt(())
        async with automarket.connect(running.address) as mesh:
            return await answered(mesh, question, model="story", seconds=60)

    notes, pieces, error = await asyncio.create_task(ask())
    assert error is None
    assert notes.question
    assert vendor.posts[-1].json["messages"][-1]["content"] == notes.question
    assert notes.answer == "".join(STORY)
    assert notes.times["heard"] < notes.times["spoken"] < notes.times["written"] < notes.times["finished"]
    assert notes.times["written"] - notes.times["spoken"] > PACE_SECONDS * len(STORY) / 4
    assert len(b"".join(pieces)) > 5 * 16_000 * 2, "five sentences take more than five seconds"
    [trace] = notes.traces
    assert len(trace) == 32
    for _ in range(200):
        services = {span.service for span in collector.spans if span.trace_id == trace}
        if services >= SERVICES:
            break
        await asyncio.sleep(0.05)
    assert services >= SERVICES


async def test_one_deadline_ends_all_of_it(place, question):
    running, vendor, _ = place
    async with automarket.connect(running.address) as mesh:
        begin, dropped = time.monotonic(), len(vendor.dropped)
        notes, pieces, error = await answered(mesh, question, model="slow", seconds=8)
        assert type(error) is DeadlineExceeded
        assert time.monotonic() - begin < 9.5
        assert (notes.answer, pieces) == ("a", [])
        for _ in range(100):
            if len(vendor.dropped) > dropped:
                break
            await asyncio.sleep(0.02)
        assert len(vendor.dropped) == dropped + 1


async def test_who_hangs_up_ends_the_language_model_too(place, question):
    running, vendor, _ = place
    async with automarket.connect(running.address) as mesh:
        dropped = len(vendor.dropped)
        service = example().VoiceReply(mesh, model="story", provider="openai")
        async with aclosing(service.answer(question)) as voice:
            async for _ in voice:
                break
        for _ in range(100):
            if len(vendor.dropped) > dropped:
                break
            await asyncio.sleep(0.02)
        assert len(vendor.dropped) == dropped + 1


async def test_a_model_that_fails_fails_the_answer(place, question):
    async with automarket.connect(place[0].address) as mesh:
        _, pieces, error = await answered(mesh, question, model="rate-limit")
    assert (type(error), pieces) == (RateLimited, [])


async def test_the_example_runs_as_it_says(place, question, tmp_path):
    running = place[0]
    script = [str(ROOT / "examples" / "voice_reply.py"), str(question), str(tmp_path / "reply.wav")]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *script, "--model", "story"),
        env=running.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, failed = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, failed.decode()
    assert "".join(STORY) in said.decode()
    with wave.open(str(tmp_path / "reply.wav")) as reply:
        assert reply.getframerate() == 16_000
        assert reply.getnframes() > 5 * 16_000
