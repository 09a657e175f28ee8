"""Both speech engines as real child processes, without the provider around them."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path

import pytest

from automarket.errors import BackendFailed, OptionInvalid
from provider_servers.flite.engine import Manner, match_language
from provider_servers.flite.espeak_engine import EspeakEngine
from provider_servers.flite.flite_engine import FliteEngine
from tests.support.mesh import processes
from tests.support.require import require

TEXT = "The first sentence is short. The second one is a little longer. Here is the third."


@pytest.fixture(params=["flite", "espeak-ng"])
def engine(request):
    if request.param == "flite":
        require("flite")
        return FliteEngine(shutil.which("flite"))
    require("espeakng-loader")
    import espeakng_loader

    return EspeakEngine(Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path()))


def manner(engine, **changes):
    facts = engine.facts
    return Manner(**({"voice": facts.voices[0], "language": facts.languages[0], "speed": 1.0} | changes))


async def seconds(engine, folder, **changes):
    size = sum([len(piece) async for piece in engine.speak(engine.pieces(TEXT), manner(engine, **changes), folder)])
    return size / 2 / engine.facts.sample_rate


async def test_sound_comes_before_all_of_it_is_made(engine, short_dir):
    pieces = engine.pieces(TEXT * 20)
    speech = engine.speak(pieces, manner(engine), short_dir)
    begin = time.monotonic()
    first = await anext(speech)
    first_after = time.monotonic() - begin
    total = len(first) + sum([len(piece) async for piece in speech])
    assert first_after < (time.monotonic() - begin) * 0.8
    assert total / 2 / engine.facts.sample_rate > 60


async def test_speed_shortens_and_lengthens_speech(engine, short_dir):
    slow, plain, fast = [await seconds(engine, short_dir, speed=speed) for speed in (0.6, 1.0, 2.0)]
    assert slow > plain * 1.3
    assert fast < plain * 0.75


async def test_every_voice_speaks(engine, short_dir):
    for voice in engine.facts.voices[:12]:
        assert await seconds(engine, short_dir, voice=voice) > 2, voice


async def test_a_child_that_fails_is_named_with_its_last_words(short_dir):
    script = short_dir / "broken"
    script.write_text("#!/bin/sh\necho no sound card >&2\nexit 7\n")
    script.chmod(0o755)
    engine = FliteEngine(str(script))
    with pytest.raises(BackendFailed, match="broken ended with code 7") as caught:
        await anext(engine.speak(["Hello."], manner(engine), short_dir))
    assert caught.value.log_lines == ("no sound card",)


async def test_leaving_the_speech_ends_the_child_25_times(short_dir):
    script = short_dir / "hangs"
    script.write_text("#!/bin/sh\nsleep 4711 & wait\n")
    script.chmod(0o755)
    engine = FliteEngine(str(script))
    for _ in range(25):
        task = asyncio.create_task(anext(engine.speak(["Hello."], manner(engine), short_dir)))
        await asyncio.sleep(0.03)
        begin = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while any("sleep 4711" in command for command in processes().values()):
            assert time.monotonic() - begin < 0.5
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("wanted", "tag"), [("en", "en"), ("EN_us", "en-us"), ("en-AU", "en"), ("de-CH-1996", "de")])
def test_the_nearest_language_is_taken(wanted, tag):
    assert match_language(wanted, ("en", "en-us", "de")) == tag


def test_a_language_that_is_not_spoken_is_named():
    with pytest.raises(OptionInvalid, match="'fr'") as caught:
        match_language("fr", ("en", "de"))
    assert caught.value.hint == "they speak: en, de"
    assert list(caught.value.fields) == ["header.text_to_speech.language"]
