"""How soon the vendor's first sound is with the client: through relay, provider server and the client library."""

from __future__ import annotations

import statistics
import time

import pytest

import automarket
from automarket.client import events as e
from tests.client.conftest import running_gateway, until_complete
from tests.support.media import SENTENCE
from tests.vendors.elevenlabs import RACHEL, spoken
from tests.vendors.running import Running, environment

ROUNDS = 20
MOST_SECONDS = 0.020


@pytest.fixture
def mesh_address(monkeypatch):
    vendor = Running("elevenlabs")
    for name, value in environment("elevenlabs", vendor.url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AUTOMARKET_ELEVENLABS_MODELS", "stamped")
    with running_gateway("elevenlabs") as running:
        yield running.address, vendor.server
    vendor.close()


@pytest.mark.alone
async def test_first_sound_is_with_the_client_within_20_ms_of_the_vendors_first_chunk(mesh_address, record_property):
    address, server = mesh_address
    spoken(SENTENCE, "mp3_44100_128")  # made before anything is measured
    await until_complete(address, {"elevenlabs"})
    late = []
    async with automarket.connect(address) as mesh:
        tts = await mesh.provider("elevenlabs").text_to_speech("stamped")
        for number in range(ROUNDS):
            stream = tts.stream(SENTENCE, voice=RACHEL)
            arrived = None
            async for event in stream:
                if isinstance(event, e.OutputChunk) and arrived is None:
                    arrived = time.monotonic()
            assert arrived is not None
            late.append(arrived - server.began[number])
    shown = ", ".join(f"{one * 1000:.1f}" for one in sorted(late))
    record_property("first sound after the vendor's first chunk, ms", shown)
    assert statistics.median(late) < MOST_SECONDS, shown
    assert sorted(late)[ROUNDS * 9 // 10] < MOST_SECONDS * 1.5, shown
