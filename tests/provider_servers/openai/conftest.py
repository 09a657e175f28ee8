"""The provider, served, against a stand-in for OpenAI."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from provider_servers.openai import OpenAIProvider
from provider_servers.openai.provider import OpenAISettings
from provider_servers.runtime.testing import serving
from tests.support.gateway import until
from tests.vendors.http import FakeServer
from tests.vendors.openai import OpenAI
from tests.vendors.openai_media import DIARIZES, REFUSED
from tests.vendors.said import KEY

SCENARIOS = ("cut", "nothing", "slow", "stalled", "page", "html", "never", "garbage")
PICTURES = ("huge", "fewer", "rewritten", "urls")
TRANSCRIPTS = ("early", "fault", "odd", "paused", "waits")
MODELS = [
    *("gpt-image-1.5", "dall-e-3", "gpt-4o-mini-tts", "gpt-transcribe", DIARIZES),
    *(f"gpt-image-{one}" for one in (*SCENARIOS, *PICTURES, *REFUSED)),
    *(f"tts-{one}" for one in (*SCENARIOS, *REFUSED)),
    *(f"whisper-{one}" for one in (*SCENARIOS, *REFUSED)),
    *(f"transcribe-{one}" for one in (*SCENARIOS, *TRANSCRIPTS, *REFUSED)),
]


@asynccontextmanager
async def working(**settings):
    """Serve the provider; give what serves it, the media side of the stand-in, and its server."""
    fake = OpenAI()
    server = FakeServer(fake.handle)
    async with server.serving():
        chosen = {"api_key": KEY, "base_url": f"{server.url}/v1", "models": ",".join(MODELS), "breaker_failures": 0}
        provider = OpenAIProvider(OpenAISettings(**(chosen | settings)))
        async with serving(provider) as served:
            await until(lambda: any(one.id == "whisper-1" for one in provider.models()), what="the list")
            yield served, fake.media, server


@pytest.fixture
async def openai():
    async with working() as there:
        yield there
