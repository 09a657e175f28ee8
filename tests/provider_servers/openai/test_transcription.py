"""Speech in, text out, by the stand-in for OpenAI."""

from __future__ import annotations

import json

import pytest

from automarket.assets.formats import detect
from automarket.errors import (
    BackendFailed,
    CreditExhausted,
    InputTooLarge,
    ModelUnknown,
    OptionInvalid,
    OptionUnknown,
    ProviderNotConfigured,
    RateLimited,
    VendorOverloaded,
)
from provider_servers.openai import transcription
from tests.provider_servers.asked import ask
from tests.support.gateway import until
from tests.support.media import SENTENCE
from tests.vendors.openai_media import DIARIZES, MAX_UPLOAD_BYTES

STT = "speech-to-text"
STREAMS = "gpt-transcribe"


async def hear(served, media, model="whisper-1", path=None, **options):
    sound = (path or media.speech_wav()).read_bytes()
    return await ask(served, model, ("audio", sound), capability=STT, **options)


async def test_whisper_gives_segments_and_words_with_times(openai, media):
    served, fake, _ = openai
    heard = await hear(served, media, word_timestamps=True, language="en-GB", prompt="fox", temperature=0.2)
    assert heard.error is None
    assert heard.text == SENTENCE
    assert [len(one.words) for one in heard.segments] == [9, 9]
    word = heard.segments[1].words[0]
    assert (word.text, word.start.ToMilliseconds()) == ("and", 2250)
    assert heard.segments[0].confidence == pytest.approx(0.74, abs=0.01)
    assert heard.finished[0].language == "en-GB"
    assert [(one.unit, one.input_units) for one in heard.usage] == [("second", 6)]
    (form,) = fake.forms
    assert form.files[0].name == "audio.wav"
    assert form.files[0].content == media.speech_wav().read_bytes()
    said = {"model": "whisper-1", "language": "en", "prompt": "fox", "temperature": "0.2"}
    assert said.items() <= dict(form.fields).items()
    assert form.all("timestamp_granularities[]") == ["segment", "word"]


async def test_whisper_finds_the_language_out_and_translates(openai, media):
    served, _, server = openai
    assert (await hear(served, media)).finished[0].language == "en"
    heard = await hear(served, media, translate=True)
    assert heard.finished[0].language == "en"
    assert server.posts[-1].path == "/v1/audio/translations"


@pytest.mark.parametrize(("form", "begin"), [("srt", "1\n00:00:00,000 -->"), ("vtt", "WEBVTT"), ("tsv", "start\tend")])
async def test_subtitles(openai, media, form, begin):
    served, _, _ = openai
    heard = await hear(served, media, output_format=form)
    assert bytes(heard.outputs[0]).decode().startswith(begin)


async def test_all_facts_as_json(openai, media):
    served, _, _ = openai
    heard = await hear(served, media, output_format="json")
    assert json.loads(heard.output)["segments"][0]["avg_logprob"] == -0.3


async def test_words_are_streamed_as_they_come(openai, media):
    served, fake, _ = openai
    heard = await hear(served, media, STREAMS, language="en", prompt="fox", temperature=0)
    assert heard.error is None
    assert "".join(heard.tokens) == SENTENCE
    assert [(one.unit, one.input_units, one.output_units) for one in heard.usage] == [("token", 55, 20)]
    said = {"stream": "true", "language": "en", "prompt": "fox"}
    assert said.items() <= dict(fake.forms[0].fields).items()
    assert "response_format" not in dict(fake.forms[0].fields)


async def test_the_first_words_are_there_before_the_last_are_heard(openai, media):
    served, _, _ = openai
    heard = await hear(served, media, "transcribe-paused")
    assert heard.tokens[0] == "the"
    assert heard.kinds.count("text_delta") >= 2


async def test_speakers_are_told_apart(openai, media):
    served, fake, _ = openai
    heard = await hear(served, media, DIARIZES)
    assert [one.text[:5] for one in heard.segments] == ["[A]: ", "[B]: "]
    assert heard.segments[1].start.ToMilliseconds() == 2500
    said = {"response_format": "diarized_json", "chunking_strategy": "auto"}
    assert said.items() <= dict(fake.forms[0].fields).items()


@pytest.mark.parametrize(
    ("name", "arguments", "ending"),
    [
        ("speech.opus", ("-c:a", "libopus"), "ogg"),
        ("speech.flac", (), "flac"),
        ("speech.m4a", (), "m4a"),
        ("speech.aac", (), "mp3"),
        ("speech.mka", ("-c:a", "flac"), "mp3"),
    ],
)
async def test_every_form_of_sound_has_an_ending_that_the_vendor_knows(openai, media, name, arguments, ending):
    served, fake, _ = openai
    path = media.ffmpeg(name, "-i", str(media.speech_wav()), *arguments)
    heard = await hear(served, media, path=path)
    assert heard.error is None
    assert fake.forms[0].files[0].name == f"audio.{ending}"


async def test_the_sound_of_a_film_is_sent_and_not_the_film(openai, media):
    served, fake, _ = openai
    heard = await hear(served, media, path=media.talk_faststart_mp4())
    assert heard.error is None
    assert fake.forms[0].files[0].name == "audio.mp3"


async def test_speech_over_the_vendors_limit_is_made_smaller_first(openai, media):
    served, fake, _ = openai
    long = media.ffmpeg(
        "long-48k.wav", "-f", "lavfi", "-i", "sine=frequency=300:sample_rate=48000:duration=150", "-ac", "2"
    )
    assert long.stat().st_size > MAX_UPLOAD_BYTES
    heard = await hear(served, media, path=long)
    assert heard.error is None
    (sent,) = fake.forms[0].files
    assert (sent.name, detect(sent.content).name) == ("audio.mp3", "mp3")
    assert len(sent.content) < 500_000


async def test_speech_that_is_too_long_in_any_form_is_refused_with_the_limit(openai, media, monkeypatch):
    served, fake, server = openai
    monkeypatch.setattr(transcription, "MAX_UPLOAD_BYTES", 70_000)
    heard = await hear(served, media, path=media.speech_wav())
    assert isinstance(heard.error, InputTooLarge)
    assert "4,464" in heard.error.message
    assert "cut it" in heard.error.hint
    assert not server.posts
    assert not fake.paid


@pytest.mark.parametrize(
    ("model", "options", "error", "field"),
    [
        (STREAMS, {"word_timestamps": True}, OptionUnknown, "word_timestamps"),
        (STREAMS, {"translate": True}, OptionUnknown, "translate"),
        (DIARIZES, {"prompt": "fox"}, OptionUnknown, "prompt"),
        ("whisper-1", {"temperature": 2}, OptionInvalid, "temperature"),
        ("whisper-1", {"language": "klingon"}, OptionInvalid, "language"),
    ],
)
async def test_options_are_refused_by_field_before_anything_is_spent(openai, media, model, options, error, field):
    served, fake, _ = openai
    heard = await hear(served, media, model, **options)
    assert isinstance(heard.error, error)
    assert f"header.speech_to_text.{field}" in heard.error.fields
    assert not fake.paid


@pytest.mark.parametrize("kind", ["whisper", "transcribe"])
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("key", ProviderNotConfigured),
        ("none", ModelUnknown),
        ("large", InputTooLarge),
        ("rate", RateLimited),
        ("quota", CreditExhausted),
        ("failed", BackendFailed),
        ("overloaded", VendorOverloaded),
        ("cut", BackendFailed),
        ("nothing", BackendFailed),
        ("page", BackendFailed),
        ("html", BackendFailed),
        ("never", BackendFailed),
        ("early", BackendFailed),
        ("fault", BackendFailed),
        ("odd", BackendFailed),
    ],
)
async def test_every_error_has_its_class(openai, media, kind, name, error):
    served, _, _ = openai
    if kind == "whisper" and name in ("early", "fault", "odd"):
        kind = "transcribe"
    heard = await hear(served, media, f"{kind}-{name}")
    assert type(heard.error) is error, heard.error
    assert not heard.finished


async def test_a_cancel_closes_the_vendors_connection_at_once(openai, media):
    served, _, server = openai
    for number in range(25):
        heard = await hear(served, media, "transcribe-waits", until="text_delta")
        assert heard.error is None
        await until(lambda wanted=number + 1: len(server.dropped) == wanted, what="the connection is closed")
