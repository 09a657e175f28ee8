"""ElevenLabs' stand-in through the whole mesh: voices, speech in them, and what was said written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import automarket
from automarket.errors import OptionInvalid
from tests.client.conftest import running_gateway, until_complete
from tests.support.media import SENTENCE
from tests.support.require import require
from tests.vendors.running import Running, environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def mesh(monkeypatch) -> AsyncIterator[automarket.Mesh]:
    require("ffmpeg", "flite")
    vendor = Running("elevenlabs")
    for name, value in environment("elevenlabs", vendor.url).items():
        monkeypatch.setenv(name, value)
    with running_gateway("elevenlabs") as gateway:
        await until_complete(gateway.address, {"elevenlabs"})
        async with automarket.connect(gateway.address) as mesh:
            yield mesh
    vendor.close()


async def test_a_voice_is_made_speaks_and_is_understood(mesh, media):
    provider = mesh.provider("elevenlabs")
    voice = await provider.create_voice("Mine", [media.speech_wav(), media.talk_mp4()], labels={"accent": "plain"})
    assert [one.id for one in await provider.voices(cloned=True)] == [voice.id]
    tts = await provider.text_to_speech("eleven_multilingual_v2")
    speech = await tts.transform(SENTENCE, voice=voice, stability=0.5)
    assert speech.duration > 2
    text = await (await provider.speech_to_text("scribe_v2")).transform(speech, word_timestamps=True)
    assert SENTENCE in text.content
    await provider.delete_voice(voice)
    with pytest.raises(OptionInvalid, match="voice"):
        await tts.transform(SENTENCE, voice=voice.id)


async def test_a_sample_of_a_voice_speaks_by_the_capability_alone(mesh, media):
    cloned = await mesh.transform("Hello there.", media.speech_wav(), capability="voice-cloning")
    assert cloned.duration > 0.3
    sound = await mesh.transform("rain", capability="text-to-sound", duration=1)
    assert sound.duration == pytest.approx(1, abs=0.1)
