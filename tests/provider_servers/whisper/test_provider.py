"""Whisper's provider served for real, next to the stand-in of its backend."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from automarket.assets.formats import detect
from automarket.client.options import write_options
from automarket.errors import InputEmpty, OptionInvalid, OptionUnknown
from automarket.media.wav import wav_header
from gateway.control.validation import check as check_registration
from provider_servers.runtime.subtitles import FORMS
from provider_servers.runtime.testing import CHECKS, Sample, answers_in_one_message, chunks_of, serving
from tests.support.media import SENTENCE
from tests.support.require import require
from tests.support.words import word_error_rate

EXAMPLES = Path(__file__).resolve().parent.parent.parent.parent / "examples"


@pytest.fixture(autouse=True)
def _parts():
    require("pocketsphinx", "ffmpeg", "flite")


def segments(events):
    return [event.segment for event in events if event.HasField("segment")]


def seconds(duration):
    return duration.ToNanoseconds() / 1e9


def heard(events):
    return " ".join(one.text for one in segments(events))


def document(events):
    return b"".join(event.output_chunk.data for event in events if event.HasField("output_chunk")).decode()


def finished(events):
    [one] = [event.output_finished for event in events if event.HasField("output_finished")]
    return one


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_it_keeps_the_contract(check, served, sentences):
    bad = {"language": "xx", "window_seconds": 3, "output_format": "doc", "prompt": "a" * 10_001}
    await check(served, Sample({"audio": sentences(1, 0.0)}, bad_options=bad))


async def test_it_answers_in_one_message_what_it_answers_in_chunks(served, media):
    small = media.ffmpeg("speech.opus", "-i", str(media.speech_wav()), "-c:a", "libopus", "-b:a", "32k")
    await answers_in_one_message(served, Sample({"audio": small}))


async def test_it_describes_itself_rightly(served):
    check_registration(served.server.describe())


@pytest.mark.slow
async def test_a_film_becomes_words(served, backend):
    events = await served.run(Sample({"audio": EXAMPLES / "talk.mp4"}, {"window_seconds": 15}))
    assert word_error_rate((EXAMPLES / "talk.txt").read_text(), heard(events)) < 0.25
    times = [(seconds(one.start), seconds(one.end)) for one in segments(events)]
    assert times == sorted(times)
    assert 35 < times[-1][1] < 41
    assert not any(one.words for one in segments(events))
    assert finished(events).language == "en"
    assert 0 < finished(events).confidence <= 1
    [usage] = [event.usage for event in events if event.HasField("usage")]
    assert (usage.unit, round(usage.input_units)) == ("second", 40)
    queries = [note["query"] for note in backend.notes("begin", "/asr")]
    assert len(queries) in (3, 4, 5)
    assert ["language=en" in query for query in queries] == [False] + [True] * (len(queries) - 1)


async def test_each_window_gives_its_segments_at_once_with_the_recording_s_times(served, sentences, backend):
    sample = Sample({"audio": sentences(2)}, {"window_seconds": 7, "word_timestamps": True})
    first_at, found = None, []
    async for event in served.stream(served.header(sample), chunks_of(sample)):
        if event.HasField("segment"):
            first_at = first_at or len(backend.notes("end", "/asr"))
            found.append(event.segment)
    assert first_at == 1  # the second window may have begun, its words are not there yet
    assert backend.requests() in (2, 3)
    assert word_error_rate(f"{SENTENCE} {SENTENCE}", " ".join(one.text for one in found)) < 0.3
    begins = [seconds(one.start) for one in found]
    assert begins == sorted(begins)
    assert begins[-1] > 7
    for one in found:
        assert [word.text for word in one.words] == one.text.split()
        assert seconds(one.start) == pytest.approx(seconds(one.words[0].start))


async def test_all_of_it_is_sent_at_once_when_asked_for(served, sentences, backend):
    await served.run(Sample({"audio": sentences(1, 4.0)}, {"window_seconds": 0}))
    assert backend.requests() == 1
    await served.run(Sample({"audio": sentences(1, 4.0)}, {"window_seconds": 5}))
    assert backend.requests() > 2


@pytest.mark.parametrize("form", FORMS)
async def test_the_text_output_is_what_is_asked_for(served, media, form):
    speech = media.ffmpeg("two-seconds.wav", "-i", str(media.speech_wav()), "-t", "2")
    events = await served.run(Sample({"audio": speech}, {"output_format": form}))
    [started] = [event.output_started for event in events if event.HasField("output_started")]
    assert (started.name, started.media_type) == ("text", FORMS[form])
    made = document(events)
    if form == "text":
        assert not made
        assert "quick" in heard(events)
        return
    assert "quick" in made
    assert finished(events).size_bytes == len(made.encode())
    if form != "tsv":
        assert detect(made.encode()).media_type == FORMS[form]
    if form == "json":
        said = json.loads(made)
        assert set(said) == {"language", "segments", "text"}
        assert {"tokens", "avg_logprob", "no_speech_prob", "seek"} <= set(said["segments"][0])


async def test_a_document_of_many_windows_counts_on(served, sentences):
    sample = Sample({"audio": sentences(2)}, {"window_seconds": 7, "output_format": "json", "word_timestamps": True})
    said = json.loads(document(await served.run(sample)))
    rows = said["segments"]
    assert [one["id"] for one in rows] == list(range(len(rows)))
    assert [one["start"] for one in rows] == sorted(one["start"] for one in rows)
    assert rows[-1]["start"] > 7
    assert rows[-1]["seek"] >= 400
    assert rows[-1]["words"][0]["start"] == rows[-1]["start"]


async def test_the_language_alone_is_found_out(served, sentences, backend):
    events = await served.run(Sample({"audio": sentences(1, 30.0)}, {"detect_language": True}))
    assert (document(events), finished(events).language) == ("en", "en")
    assert 0 < finished(events).confidence <= 1
    assert [note["path"] for note in backend.notes("begin") if note["method"] == "POST"] == ["/detect-language"]


async def test_typed_options_reach_the_backend(served, silence, backend):
    sample = Sample({"audio": silence(1)})
    first = served.header(sample)
    typed = {"language": "en-US", "translate": True, "word_timestamps": True, "prompt": "Ada"}
    write_options(first.header, "speech-to-text", typed | {"vad_filter": True})
    await served.transform(first, chunks_of(sample))
    [note] = backend.notes("begin", "/asr")
    for part in ("language=en", "task=translate", "word_timestamps=true", "initial_prompt=Ada", "vad_filter=true"):
        assert part in note["query"].split("&")


async def test_what_is_translated_is_english(served, silence):
    events = await served.run(Sample({"audio": silence(1)}, {"translate": True, "language": "de"}))
    assert finished(events).language == "en"


@pytest.mark.parametrize("option", ["temperature", "diarize", "vad"])
async def test_what_the_engine_does_not_heed_is_refused_by_name(served, silence, option):
    with pytest.raises(OptionUnknown, match=option):
        await served.run(Sample({"audio": silence(1)}, {option: 0}))


@pytest.mark.parametrize(
    ("engine", "takes", "refuses"),
    [
        ("faster_whisper", {"vad_filter"}, {"diarize", "temperature"}),
        ("openai_whisper", set(), {"vad_filter", "diarize"}),
        ("whisperx", {"diarize", "min_speakers", "max_speakers"}, {"vad_filter"}),
        ("", {"vad_filter"}, {"diarize"}),
    ],
)
def test_the_options_are_those_of_the_engine(provider_at, engine, takes, refuses):
    [model] = provider_at("http://127.0.0.1:1", engine=engine, model="small").models()
    assert takes <= set(model.options)
    assert not refuses & set(model.options)
    assert (model.id, model.canonical_id) == ("whisper-stt", "openai/whisper-small")


@pytest.mark.parametrize("language", ["xx", "english", "e", "en_US", "EN"])
async def test_a_language_that_whisper_does_not_know_is_refused_before_anything_is_sent(
    served, silence, language, backend
):
    with pytest.raises(OptionInvalid) as caught:
        await served.run(Sample({"audio": silence(1)}, {"language": language}))
    assert list(caught.value.fields) == ["header.model_options.language"]
    assert not backend.requests()


async def test_silence_is_an_empty_text_and_no_sound_is_an_error(served, silence, tmp_path):
    events = await served.run(Sample({"audio": silence(12)}, {"window_seconds": 5, "output_format": "srt"}))
    assert segments(events) == []
    assert finished(events).size_bytes == 0
    nothing = tmp_path / "nothing.wav"
    nothing.write_bytes(wav_header(16_000, 1, 0))
    for window in (0, 60):
        with pytest.raises(InputEmpty):
            await served.run(Sample({"audio": nothing}, {"window_seconds": window}))


async def test_a_provider_with_a_url_is_available_without_docker(monkeypatch, provider_at):
    monkeypatch.setenv("AUTOMARKET_WHISPER_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    provider = provider_at("http://127.0.0.1:9")
    assert provider.availability().available
    monkeypatch.delenv("AUTOMARKET_WHISPER_BASE_URL")
    lacking = provider.availability()
    assert not lacking.available
    assert lacking.hint
    assert lacking.error_reason.startswith("DOCKER")


async def test_news_comes_at_least_once_a_second_while_it_works(served, sentences):
    clock = asyncio.get_running_loop()
    sample = Sample({"audio": sentences(1, 0.0)})
    last, longest, kinds = clock.time(), 0.0, []
    async for event in served.stream(served.header(sample), chunks_of(sample)):
        longest, last = max(longest, clock.time() - last), clock.time()
        if event.HasField("progress"):
            kinds.append(event.progress.phase)
    assert "running" in kinds
    assert longest < 2.5, longest  # one second, on a machine that is busy


def test_it_is_a_speech_to_text_provider(provider_at):
    provider = provider_at("http://127.0.0.1:1")
    assert (provider.id, provider.aliases, provider.max_concurrent_calls) == ("whisper", ("whisper-docker",), 16)
    [model] = provider.models()
    assert model.capabilities == ("speech-to-text",)
    assert model.outputs[0].media_types == tuple(FORMS.values())


async def test_a_provider_is_made_without_touching_anything(tmp_path, monkeypatch):
    from provider_servers.whisper import WhisperProvider

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    WhisperProvider().models()
    assert list(tmp_path.iterdir()) == []


async def test_two_servers_can_be_served_one_after_the_other(backend, provider_at, silence):
    for _ in range(2):
        async with serving(provider_at(backend.url)) as served:
            await served.run(Sample({"audio": silence(1)}))
    assert backend.requests() == 2
