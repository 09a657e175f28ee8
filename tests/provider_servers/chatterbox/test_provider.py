"""Text-to-speech and voice cloning through a real server: what is heard, in which form, and what is refused."""

from __future__ import annotations

import asyncio
import io
import time
import wave
from itertools import pairwise

import pytest

from automarket.errors import InputEmpty, InputTooLarge, InputUnsuitable, OptionInvalid, OptionUnknown
from automarket.media.probe import probe
from gateway.control.validation import check as check_registration
from provider_servers.chatterbox import ChatterboxProvider
from provider_servers.runtime.testing import CHECKS, Sample, serving, succeeds
from tests.provider_servers.calls import only_field
from tests.support.pitch import pitch
from tests.support.require import require
from tests.support.words import word_error_rate

TEXT = "The old man walks slowly to the river. The quick brown fox jumps over the lazy dog."
SENTENCES = [f"This is sentence {word}." for word in ("one", "two", "three", "four", "five")]
AT_16K = {"container": "wav", "sample_rate_hertz": 16000}


def wav_of(answer):
    """Give the first output as a WAV whose header tells its size."""
    data = answer.outputs[0]
    return data[:40] + (len(data) - 44).to_bytes(4, "little") + data[44:]


def heard(sound):
    from pocketsphinx import Decoder

    decoder = Decoder(loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw(sound, full_utt=True)
    decoder.end_utt()
    return decoder.hyp().hypstr


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_provider_keeps_the_contract(check, shared, provider_at):
    async with serving(provider_at(shared.url)) as served:
        bad = {"speed": 9, "temperature": 0, "exaggeration": 3, "cfg_weight": -1, "seed": 2**32, "voice": "../x"}
        await check(served, Sample({"text": "Hello there. How are you?"}, bad_options=bad))


async def test_the_provider_keeps_the_contract_with_a_voice(shared, provider_at, voice_of):
    async with serving(provider_at(shared.url)) as served:
        await succeeds(served, Sample({"text": "Hello there.", "voice": voice_of(150)}))


async def test_the_provider_describes_itself_rightly(shared, provider_at):
    async with serving(provider_at(shared.url)) as served:
        check_registration(served.server.describe())


async def test_speech_is_a_wav_of_the_servers_rate(chatterbox):
    answer = await chatterbox("text-to-speech", TEXT)
    (finished,) = answer.finished
    info = finished.media_info
    assert (info.format, info.audio.sample_rate_hertz, info.audio.channels) == ("wav", 24000, 1)
    seconds = (len(answer.outputs[0]) - 44) / 48000
    assert 4 < seconds < 12
    (usage,) = [event.usage for event in answer.events if event.HasField("usage")]
    assert (usage.unit, usage.input_units) == ("character", len(TEXT))


async def test_one_sentence_has_its_size_in_the_header(chatterbox):
    answer = await chatterbox("text-to-speech", "Just one sentence.")
    with wave.open(io.BytesIO(answer.outputs[0])) as reader:
        assert reader.getnframes() * 2 + 44 == len(answer.outputs[0])


async def test_the_words_can_be_heard_in_an_own_voice_and_in_a_sample_s(chatterbox, voice_of):
    require("pocketsphinx", "ffmpeg")
    for inputs in ((TEXT,), (TEXT, voice_of(120))):
        answer = await chatterbox("text-to-speech", *inputs, format=AT_16K)
        assert word_error_rate(TEXT, heard(answer.outputs[0][44:])) < 0.25


async def test_the_pitch_follows_the_sample_s(chatterbox, voice_of):
    results = []
    for wanted in (100, 160, 240):
        sample = voice_of(wanted)
        answer = await chatterbox("voice-cloning", TEXT, sample)
        results.append(pitch(wav_of(answer)))
        assert abs(results[-1] / pitch(sample) - 1) < 0.1
    assert results[0] < results[1] * 0.8 < results[2] * 0.64


async def test_the_servers_own_voices_differ(chatterbox):
    low, high = [pitch(wav_of(await chatterbox("tts", TEXT, voice=voice))) for voice in ("Adrian", "abigail.wav")]
    assert low * 1.5 < high


async def test_a_sample_may_be_a_film(chatterbox, media):
    require("ffmpeg")
    answer = await chatterbox("text-to-speech", TEXT, media.talk_mp4())
    assert abs(pitch(wav_of(answer)) / pitch(media.speech_wav()) - 1) < 0.12


async def test_a_sample_is_uploaded_once(chatterbox, shared, voice_of):
    sample = voice_of(133)
    for _ in range(3):
        await chatterbox("text-to-speech", "Hello.", sample)
    assert len(shared.notes("begin", path="/upload_reference")) == 1
    assert len({note["file"] for note in shared.notes("speak")}) == 1


async def test_each_sentence_is_a_request_with_the_same_seed(chatterbox, shared):
    await chatterbox("text-to-speech", " ".join(SENTENCES), speed=1.5)
    notes = shared.notes("speak")
    assert [note["text"] for note in notes] == SENTENCES
    (seed,) = {note["seed"] for note in notes}
    assert seed > 0
    assert {(note["split_text"], note["speed_factor"], note["predefined_voice_id"]) for note in notes} == {
        (False, 1.5, "Emily.wav")
    }


async def test_options_reach_the_server(chatterbox, shared):
    await chatterbox("tts", "Hello.", seed=42, temperature=0.3, exaggeration=1.2, cfg_weight=0.1, language="en-GB")
    (note,) = shared.notes("speak")
    assert {name: note[name] for name in ("seed", "temperature", "exaggeration", "cfg_weight", "language")} == {
        "seed": 42,
        "temperature": 0.3,
        "exaggeration": 1.2,
        "cfg_weight": 0.1,
        "language": "en",
    }


async def test_the_same_seed_gives_the_same_sound_and_speed_changes_its_length(chatterbox):
    one, same = [await chatterbox("tts", TEXT, seed=7) for _ in range(2)]
    quick = await chatterbox("tts", TEXT, seed=7, speed=1.6)
    assert one.outputs[0] == same.outputs[0]
    assert len(quick.outputs[0]) < len(one.outputs[0]) * 0.75


async def test_a_sentence_without_end_is_cut(chatterbox, shared):
    await chatterbox("text-to-speech", "words and words, " * 40)
    assert len(shared.texts()) == 3
    assert all(len(text) <= 300 for text in shared.texts())


async def test_the_first_sound_comes_long_before_the_last(chatterbox):
    begin = time.monotonic()
    first = last = 0.0
    async for event in chatterbox.stream("text-to-speech", " ".join(SENTENCES * 4)):
        if event.WhichOneof("event") == "output_chunk":
            last = time.monotonic() - begin
            first = first or last
    assert first < last / 4


async def test_calls_take_turns_sentence_by_sentence(chatterbox, shared):
    first, second = " ".join(SENTENCES * 2), "Another one. And another. And one more."
    await asyncio.gather(chatterbox("tts", first), chatterbox("tts", second))
    texts = shared.texts()
    others = [number for number, text in enumerate(texts) if text not in SENTENCES]
    assert len(texts) == 13
    assert all(0 < after - before <= 2 for before, after in pairwise(others))


@pytest.mark.parametrize("container", ["flac", "mp3", "opus"])
async def test_speech_comes_in_the_container_that_is_asked_for(chatterbox, short_dir, container):
    require("ffmpeg")
    answer = await chatterbox("text-to-speech", TEXT, format={"container": container})
    info = await probe(answer.save(0, short_dir / "speech"))
    assert info.format == container
    assert 4 < info.duration < 12


async def test_bare_samples_have_no_header(chatterbox):
    bare = await chatterbox("text-to-speech", "Just one sentence.", seed=1, format={"container": "s16le"})
    whole = await chatterbox("text-to-speech", "Just one sentence.", seed=1)
    assert bare.outputs[0] == whole.outputs[0][44:]
    assert bare.finished[0].media_info.audio.sample_rate_hertz == 24000


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"voice": "nobody"}, OptionInvalid, "header.text_to_speech.voice"),
        ({"language": "de"}, OptionInvalid, "header.text_to_speech.language"),
        ({"speed": 9.0}, OptionInvalid, "header.text_to_speech.speed"),
        ({"pitch": 2}, OptionUnknown, "header.model_options.pitch"),
    ],
)
async def test_an_option_that_does_not_exist_is_named(chatterbox, shared, options, error, name):
    with pytest.raises(error) as caught:
        await chatterbox("text-to-speech", TEXT, **options)
    assert only_field(caught.value) == name
    assert shared.notes("speak") == []


async def test_a_voice_twice_is_refused(chatterbox, voice_of):
    with pytest.raises(OptionInvalid, match="as input, too") as caught:
        await chatterbox("text-to-speech", TEXT, voice_of(150), voice="Emily")
    assert only_field(caught.value) == "header.text_to_speech.voice"


async def test_a_sample_from_which_no_voice_can_be_taken_is_refused_before_anything_is_sent(
    chatterbox, shared, media, voice_of, tmp_path
):
    require("ffmpeg")
    silent = tmp_path / "silent.wav"
    with wave.open(str(silent), "wb") as writer:
        writer.setparams((1, 2, 16000, 0, "NONE", ""))
        writer.writeframes(bytes(96000))
    for sample, error, words in (
        (voice_of(150, words=1), InputUnsuitable, "a voice cannot be taken from less than 1 s"),
        (voice_of(150, words=200), InputTooLarge, "longer than the 30 s that slot 'voice' takes"),
        (silent, InputUnsuitable, "silent"),
        (media.silent_mp4(), InputUnsuitable, "no sound track"),
        (media.picture_png(), InputUnsuitable, "speech was needed"),
    ):
        with pytest.raises(error, match=words):
            await chatterbox("text-to-speech", TEXT, sample)
    assert shared.notes("begin", path="/tts") == []


@pytest.mark.parametrize(("text", "error"), [("  \n ", InputEmpty), ("... !", InputUnsuitable)])
async def test_text_without_words_is_refused(chatterbox, text, error):
    with pytest.raises(error):
        await chatterbox("text-to-speech", text)


async def test_turbo_says_how_long_a_sample_has_to_be(starting, voice_of):
    async with starting(TEST_MODEL="turbo") as (_, call):
        with pytest.raises(InputUnsuitable, match="Turbo needs more than 5 s"):
            await call("voice-cloning", "Hello.", voice_of(150, words=10))
        assert (await call("voice-cloning", "Hello.", voice_of(150, words=40))).finished


async def test_the_multilingual_model_speaks_other_languages(starting):
    async with starting(TEST_MODEL="multilingual") as (backend, call):
        await call("text-to-speech", "Guten Tag.", language="de-AT")
        assert backend.notes("speak")[-1]["language"] == "de"
        with pytest.raises(OptionInvalid, match=r"\(multilingual\) does not speak 'xx'"):
            await call("text-to-speech", "Hello.", language="xx")


def test_a_server_that_runs_already_makes_the_provider_available_without_docker(monkeypatch):
    monkeypatch.setenv("AUTOMARKET_CHATTERBOX_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    assert ChatterboxProvider.availability().available
    monkeypatch.delenv("AUTOMARKET_CHATTERBOX_BASE_URL")
    availability = ChatterboxProvider.availability()
    assert not availability.available
    assert availability.hint
