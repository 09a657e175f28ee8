"""The provider, served, against a stand-in for ElevenLabs."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from provider_servers.elevenlabs import ElevenLabsProvider
from provider_servers.elevenlabs.provider import ElevenLabsSettings
from provider_servers.runtime.testing import serving
from tests.support.gateway import until
from tests.vendors.elevenlabs import REFUSED, ElevenLabs
from tests.vendors.http import FakeServer
from tests.vendors.said import KEY

SCENARIOS = ("cut", "cut-at-once", "nothing", "slow", "stalled", "never", "page", "html-502", "paced", "stamped")
MODELS = ",".join([*SCENARIOS, *REFUSED, *(f"scribe-{one}" for one in ("silent", "slow", *SCENARIOS[5:8], *REFUSED))])


@asynccontextmanager
async def speaking(fake=None, *registries, **settings):
    """Serve the provider, registered where that is wanted; give what serves it, the stand-in, and its server."""
    fake = fake or ElevenLabs()
    server = FakeServer(fake.handle)
    async with server.serving():
        chosen = {"api_key": KEY, "base_url": server.url, "models": MODELS, "breaker_failures": 0} | settings
        provider = ElevenLabsProvider(ElevenLabsSettings(**chosen))
        async with serving(provider, *registries) as served:
            if chosen["api_key"] == KEY and chosen["base_url"] == server.url:
                await until(lambda: any(one.name == "Eleven Flash v2.5" for one in provider.models()), what="the list")
            yield served, fake, server


@pytest.fixture
async def eleven():
    async with speaking() as there:
        yield there
