"""Speech in, text out, and sound effects, by the stand-in for ElevenLabs."""

from __future__ import annotations

import json
import time

import pytest

from automarket.errors import (
    BackendFailed,
    CreditExhausted,
    InputUnsuitable,
    ModelUnknown,
    OptionInvalid,
    OptionUnknown,
    ProviderNotConfigured,
    RateLimited,
)
from automarket.media.info import AudioFormat
from tests.provider_servers.asked import ask
from tests.support.gateway import until
from tests.support.media import SENTENCE
from tests.vendors.elevenlabs import HEARD_SECONDS, REQUEST_ID, effect
from tests.vendors.forms import read_form

STT, SOUND = "speech-to-text", "text-to-sound"
EFFECTS = "eleven_text_to_sound_v2"


async def hear(served, media, model="scribe_v2", *, until="", **options):
    sound = ("audio", media.speech_wav().read_bytes())
    return await ask(served, model, sound, capability=STT, until=until, **options)


async def test_words_come_in_segments_with_times(eleven, media):
    served, fake, server = eleven
    heard = await hear(served, media, word_timestamps=True)
    assert heard.error is None
    assert heard.text == f"{SENTENCE} (laughter)"
    assert [one.text for one in heard.segments] == [
        "the quick brown fox jumps over the lazy dog",
        "and the old man walks slowly to the river (laughter)",
    ]
    first = heard.segments[0].words[0]
    assert (first.text, first.start.ToMilliseconds(), first.end.ToMilliseconds()) == ("the", 0, 200)
    assert first.confidence == pytest.approx(0.905, abs=0.001)
    assert heard.finished[0].language == "en"
    assert (heard.usage[0].unit, heard.usage[0].input_units) == ("second", HEARD_SECONDS)
    form = read_form(server.posts[-1])
    assert form.files[0].content == media.speech_wav().read_bytes()
    assert (form.files[0].name, form.files[0].field) == ("audio.wav", "file")
    assert dict(form.fields) == {
        "model_id": "scribe_v2",
        "timestamps_granularity": "word",
        "diarize": "false",
        "tag_audio_events": "true",
        "no_verbatim": "false",
    }
    assert len(fake.paid) == 1


async def test_speakers_are_told_apart_and_words_have_no_times_unless_they_are_wanted(eleven, media):
    served, _, _ = eleven
    heard = await hear(served, media, diarize=True, num_speakers=2)
    assert [one.text.partition(": ")[0] for one in heard.segments] == ["[speaker_0]", "[speaker_0]", "[speaker_1]"]
    assert not heard.segments[0].words
    assert heard.text.startswith("[speaker_0]: the quick")


async def test_options_go_to_the_vendor_by_its_names(eleven, media):
    served, _, server = eleven
    own = {"keyterms": ["fox", "old man"], "tag_audio_events": False, "seed": 3, "no_verbatim": True}
    heard = await hear(served, media, language="en-US", temperature=0.5, **own)
    assert heard.text == SENTENCE
    form = read_form(server.posts[-1])
    assert form.all("keyterms") == ["fox", "old man"]
    said = {name: form.get(name) for name in ("language_code", "temperature", "seed", "no_verbatim")}
    assert said == {"language_code": "en", "temperature": "0.5", "seed": "3", "no_verbatim": "true"}


@pytest.mark.parametrize(("form", "begin"), [("srt", "1\n00:00:00,000 -->"), ("vtt", "WEBVTT"), ("tsv", "start\tend")])
async def test_subtitles(eleven, media, form, begin):
    served, _, _ = eleven
    heard = await hear(served, media, output_format=form)
    assert bytes(heard.outputs[0]).decode().startswith(begin)
    assert heard.types != ["text/plain"]


async def test_all_facts_as_json(eleven, media):
    served, _, _ = eleven
    heard = await hear(served, media, output_format="json")
    told = json.loads(heard.output)
    assert told["language_code"] == "eng"
    assert told["words"][0]["logprob"] == -0.1


async def test_the_sound_of_a_film_is_sent_and_not_the_film(eleven, media):
    served, _, server = eleven
    film = media.talk_faststart_mp4().read_bytes()
    heard = await ask(served, "scribe_v2", ("audio", film), capability=STT)
    assert heard.error is None
    (sent,) = read_form(server.posts[-1]).files
    assert sent.content[:3] in (b"ID3", b"\xff\xfb\x50") or sent.content[0] == 0xFF


async def test_silence_is_heard_as_nothing(eleven, media):
    served, _, _ = eleven
    heard = await hear(served, media, "scribe-silent")
    assert heard.error is None
    assert heard.text == ""
    assert heard.usage[0].input_units == HEARD_SECONDS


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("bad-audio", InputUnsuitable),
        ("key-new", ProviderNotConfigured),
        ("quota", CreditExhausted),
        ("no-model", ModelUnknown),
        ("rate", RateLimited),
        ("failed", BackendFailed),
        ("page", BackendFailed),
        ("html-502", BackendFailed),
        ("never", BackendFailed),
    ],
)
async def test_errors_of_transcripts(eleven, media, name, error):
    served, _, _ = eleven
    heard = await hear(served, media, f"scribe-{name}")
    assert type(heard.error) is error, heard.error
    assert not heard.finished


async def test_options_that_a_model_lacks_are_refused_by_name(eleven, media):
    served, fake, _ = eleven
    for options, field in (({"prompt": "fox"}, "prompt"), ({"translate": True}, "translate")):
        heard = await hear(served, media, **options)
        assert isinstance(heard.error, OptionUnknown)
        assert f"header.speech_to_text.{field}" in heard.error.fields
    assert not fake.paid


async def test_a_cancel_closes_the_vendors_connection_at_once(eleven, media):
    served, _, server = eleven
    for number in range(25):
        wanted = number + 1
        begin = time.monotonic()
        heard = await ask(
            served,
            "scribe-slow",
            ("audio", media.speech_wav().read_bytes()),
            capability=STT,
            cancel_when=lambda wanted=wanted: len(server.posts) == wanted,
        )
        assert heard.error is None
        await until(lambda wanted=wanted: len(server.dropped) == wanted, what="the connection is closed")
        assert time.monotonic() - begin < 5


async def test_a_sound_effect_is_made_from_words(eleven):
    served, fake, server = eleven
    heard = await ask(served, EFFECTS, ("text", "rain"), capability=SOUND, duration=1, prompt_influence=0.7, loop=True)
    assert heard.error is None
    assert heard.output == effect(1.0, "mp3_44100_128")
    assert heard.media.duration.ToMilliseconds() == pytest.approx(1000, abs=60)
    assert server.posts[-1].json == {
        "text": "rain",
        "model_id": EFFECTS,
        "prompt_influence": 0.7,
        "loop": True,
        "duration_seconds": 1.0,
    }
    assert (heard.usage[0].unit, heard.usage[0].input_units) == ("character", 100)
    assert heard.finished[0].generated_media.vendor_request_id == REQUEST_ID
    assert len(fake.paid) == 1


async def test_a_sound_effect_in_another_form_and_of_no_length_that_is_set(eleven):
    served, _, server = eleven
    heard = await ask(served, EFFECTS, ("text", "rain"), capability=SOUND, format=AudioFormat("wav", 48_000, 2))
    assert (heard.types, heard.media.audio.channels) == (["audio/wav"], 2)
    assert "duration_seconds" not in server.posts[-1].json


@pytest.mark.parametrize(("options", "error"), [({"duration": 60}, OptionInvalid), ({"seed": 1}, OptionUnknown)])
async def test_options_of_sounds_are_refused_before_anything_is_spent(eleven, options, error):
    served, fake, _ = eleven
    heard = await ask(served, EFFECTS, ("text", "rain"), capability=SOUND, **options)
    assert isinstance(heard.error, error)
    assert f"header.text_to_audio.{next(iter(options))}" in heard.error.fields
    assert not fake.paid
