"""The stand-in for Ollama on this host, shared by the tests of a module, and a provider that uses it."""

from __future__ import annotations

import pytest
import pytest_asyncio

from provider_servers.ollama import OllamaProvider
from provider_servers.runtime.testing import serving
from services.ollama import OllamaSettings
from tests.backends.ollama.running import reset
from tests.support.backends import serving_backend


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running():
    async with serving_backend("ollama") as backend:
        yield backend


@pytest_asyncio.fixture(loop_scope="module")
async def backend(running):
    await reset(running, "llama3.2")
    return running


@pytest.fixture
def provider_at(short_dir):
    """Give what makes a provider that uses the backend at a URL."""

    def made(url, **settings):
        return OllamaProvider(OllamaSettings(base_url=url, state_dir=short_dir, **settings))

    return made


@pytest_asyncio.fixture(loop_scope="module")
async def served(backend, provider_at):
    async with serving(provider_at(backend.url, models="smollm2:135m, unheard-of")) as served:
        yield served


def tokens(events):
    return [token for event in events if event.HasField("text_delta") for token in event.text_delta.tokens]


def thoughts(events):
    return "".join(token for event in events for token in event.reasoning_delta.tokens)


def usage(events):
    [found] = [event.usage for event in events if event.HasField("usage")]
    return found


def news(events, phase):
    return [event.progress for event in events if event.progress.phase == phase]
