"""Text-to-speech through a real server: what is heard, in which form, and what is refused."""

from __future__ import annotations

import asyncio
import io
import os
import time
import wave
from pathlib import Path

import pytest

from automarket.errors import InputEmpty, InputUnsuitable, OptionInvalid, OptionUnknown
from automarket.media.probe import probe
from provider_servers.flite import FliteProvider
from provider_servers.flite.espeak_engine import EspeakEngine
from tests.provider_servers.calls import calling, only_field
from tests.support.mesh import processes_below
from tests.support.require import require
from tests.support.words import word_error_rate

TEXT = "The old man walks slowly to the river. The quick brown fox jumps over the lazy dog."


@pytest.fixture
async def flite():
    require("flite")
    async with calling(FliteProvider()) as call:
        yield call


@pytest.fixture
async def espeak():
    require("espeakng-loader")
    import espeakng_loader

    engine = EspeakEngine(Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path()))
    async with calling(FliteProvider(engine)) as call:
        yield call


async def test_speech_is_a_wav_that_plays_as_long_as_it_says(flite, short_dir):
    answer = await flite("text-to-speech", TEXT)
    (finished,) = answer.finished
    info = finished.media_info
    assert (info.format, info.audio.sample_rate_hertz, info.audio.channels) == ("wav", 16000, 1)
    seconds = (len(answer.outputs[0]) - 44) / 32000
    assert 4 < seconds < 12
    assert abs(info.duration.ToTimedelta().total_seconds() - seconds) < 0.01
    assert finished.size_bytes == len(answer.outputs[0])


async def test_one_sentence_has_its_size_in_the_header(flite):
    answer = await flite("text-to-speech", "Just one sentence.")
    with wave.open(io.BytesIO(answer.outputs[0])) as reader:
        assert reader.getnframes() * 2 + 44 == len(answer.outputs[0])


async def test_the_words_can_be_heard(flite, short_dir):
    require("pocketsphinx", "ffmpeg")
    from pocketsphinx import Decoder

    for voice in ("rms", "kal16"):
        answer = await flite("text-to-speech", TEXT, voice=voice)
        decoder = Decoder(loglevel="FATAL")
        decoder.start_utt()
        decoder.process_raw(answer.outputs[0][44:], full_utt=True)
        decoder.end_utt()
        assert word_error_rate(TEXT, decoder.hyp().hypstr) < 0.25, voice


async def test_the_first_sound_comes_long_before_the_last(flite):
    begin = time.monotonic()
    first = last = 0.0
    async for event in flite.stream("text-to-speech", TEXT * 30):
        if event.WhichOneof("event") == "output_chunk":
            last = time.monotonic() - begin
            first = first or last
    assert first < last / 4


@pytest.mark.parametrize("container", ["wav", "flac", "mp3", "ogg", "opus", "m4a", "aac"])
async def test_speech_comes_in_the_container_that_is_asked_for(flite, short_dir, container):
    require("ffmpeg")
    answer = await flite("text-to-speech", TEXT, format={"container": container, "sample_rate_hertz": 24000})
    info = await probe(answer.save(0, short_dir / "speech"))
    assert info.format == container
    assert info.audio.sample_rate == (48000 if container == "opus" else 24000)
    assert 4 < info.duration < 12


async def test_bare_samples_have_no_header(flite):
    bare = await flite("text-to-speech", "Just one sentence.", format={"container": "s16le"})
    whole = await flite("text-to-speech", "Just one sentence.")
    assert bare.outputs[0] == whole.outputs[0][44:]
    assert bare.finished[0].media_info.audio.sample_rate_hertz == 16000


async def test_espeak_speaks_other_languages(espeak, short_dir):
    require("ffmpeg")
    answer = await espeak("text-to-speech", "Guten Tag. Wie geht es Ihnen?", language="de-AT", voice="f2")
    info = await probe(answer.save(0, short_dir / "speech"))
    assert info.audio.sample_rate == 22050
    assert 1.5 < info.duration < 8


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"language": "fr"}, OptionInvalid, "header.text_to_speech.language"),
        ({"voice": "nobody"}, OptionInvalid, "header.text_to_speech.voice"),
        ({"speed": 9.0}, OptionInvalid, "header.text_to_speech.speed"),
        ({"pitch": 2}, OptionUnknown, "header.model_options.pitch"),
        (
            {"format": {"container": "opus", "sample_rate_hertz": 44100}},
            OptionInvalid,
            "header.text_to_speech.format.sample_rate_hertz",
        ),
    ],
)
async def test_an_option_that_does_not_exist_is_named(flite, options, error, name):
    with pytest.raises(error) as caught:
        await flite("text-to-speech", TEXT, **options)
    assert only_field(caught.value) == name


@pytest.mark.parametrize(
    ("text", "error"), [("  \n ", InputEmpty), ("... !", InputUnsuitable), ("你好", InputUnsuitable)]
)
async def test_text_without_words_is_refused(flite, text, error):
    with pytest.raises(error):
        await flite("text-to-speech", text)


@pytest.mark.alone
async def test_a_cancel_ends_flite_25_times(flite):
    await cancel_25_times(flite, "duration_stretch")


@pytest.mark.alone
async def test_a_cancel_ends_espeak_25_times(espeak):
    await cancel_25_times(espeak, "espeak_child")


async def cancel_25_times(call, words):
    for _ in range(25):
        events = call.stream("text-to-speech", TEXT * 200)
        async for event in events:
            if event.WhichOneof("event") == "output_chunk":
                break
        begin = time.monotonic()
        await events.aclose()
        while any(words in command for command in processes_below(os.getpid()).values()):
            assert time.monotonic() - begin < 0.5
            await asyncio.sleep(0.01)


async def test_espeak_speaks_where_flite_is_not_installed(monkeypatch):
    require("espeakng-loader")
    monkeypatch.setenv("PATH", "")
    assert FliteProvider.availability().available
    async with calling(FliteProvider()) as call:
        answer = await call("text-to-speech", TEXT)
    assert [event.accepted.model_id for event in answer.events if event.HasField("accepted")] == ["espeak-ng"]
    assert answer.finished[0].media_info.audio.sample_rate_hertz == 22050


def test_the_provider_says_what_is_missing_without_starting_an_engine(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("provider_servers.flite.provider.LIBRARY", "no_such_module")
    availability = FliteProvider.availability()
    assert not availability.available
    assert "apt install flite" in availability.hint


async def test_text_is_spoken_and_never_taken_for_options_or_commands(flite, short_dir):
    answer = await flite("text-to-speech", f"-o {short_dir}/owned; touch {short_dir}/owned `touch {short_dir}/owned`")
    assert len(answer.outputs[0]) > 50_000
    assert not (short_dir / "owned").exists()


async def test_the_engines_voices_are_listed_by_the_names_that_the_option_takes():
    provider = FliteProvider()
    (model,) = provider.models()
    voices = await provider.voices()
    assert [one.id for one in voices] == model.options["voice"]["enum"]
    assert not any(one.cloned for one in voices)
