"""Every provider that is installed keeps the contract: called directly, and through the public port of a mesh."""

from __future__ import annotations

import shutil
import tempfile
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.control.validation import check as check_registration
from provider_servers.runtime.installed import GROUP, load
from provider_servers.runtime.testing import CHECKS, answers_in_one_message, serving, succeeds
from tests.contract.backends import Backends
from tests.contract.samples import SAMPLES, SMALL
from tests.contract.serving import serving_through
from tests.support.gateway import Processes
from tests.support.require import missing

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROVIDERS = sorted(entry.name for entry in entry_points(group=GROUP))
MANY = [pytest.mark.soak, pytest.mark.timeout(900)]
WAYS = {"directly": 1, "through the gateway": 1, "through the gateway, again and again": 25}


@pytest.fixture(scope="module")
def backends(tmp_path_factory):
    """Run the backends of providers that have one."""
    running = Backends(tmp_path_factory.mktemp("backends"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def mesh():
    """Run control and the public port for all tests."""
    folder = Path(tempfile.mkdtemp(prefix="am-"))
    running = Processes(folder)
    running.start_control(settle_seconds=0)
    running.start_gateway()
    yield running
    running.close()
    shutil.rmtree(folder)


@pytest.fixture(scope="module", params=PROVIDERS)
def name(request):
    """Give the id of a provider."""
    return request.param


@pytest.fixture(
    scope="module", params=[pytest.param(way, marks=MANY if rounds > 1 else []) for way, rounds in WAYS.items()]
)
def way(request):
    """Give how a provider is called."""
    return request.param


@pytest.fixture(scope="module")
def rounds(way):
    return range(WAYS[way])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(name, way, backends, request):
    """Give a provider that is served for all checks: each finds it as the ones before have left it."""
    backends.see_to(name)
    provider = load(name)
    availability = provider.availability()
    if not availability.available:
        missing(name, f"{name}: {availability.reason} ({availability.hint})")
    serve = serving if way == "directly" else partial(serving_through, request.getfixturevalue("mesh"))
    async with serve(provider()) as running:
        yield running


async def test_the_suite_finds_the_providers():
    ours = {"pocketsphinx", "flite", "ffmpeg", "whisper", "chatterbox", "ollama", "faster-whisper"}
    ours |= {"openai", "anthropic", "openrouter", "together", "openai-compatible", "elevenlabs", "fal"}
    ours |= {"replicate", "creatify"}
    assert ours <= set(PROVIDERS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_a_provider_keeps_the_contract(check, name, media, served, rounds):
    for _ in rounds:
        await check(served, SAMPLES[name](media)[0])


async def test_a_provider_answers_every_sample(name, media, served, rounds):
    for sample in SAMPLES[name](media) * len(rounds):
        await succeeds(served, sample)


async def test_a_provider_answers_in_one_message_what_it_answers_in_chunks(name, media, served, rounds):
    for _ in rounds:
        await answers_in_one_message(served, SMALL[name](media))


async def test_a_provider_describes_itself_rightly(served):
    check_registration(served.server.describe())
