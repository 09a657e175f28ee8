"""faster-whisper served for real, with a model of random weights: its words are noise, all else is as it would be."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time

import pytest

from automarket.errors import BackendFailed, InputEmpty, OptionInvalid, OptionUnknown, ProviderNotConfigured
from automarket.media.wav import wav_header
from automarket.rpc.channel import open_channel
from automarket.v1 import media_provider_service_pb2
from automarket.v1.media_provider_service_pb2_grpc import MediaProviderServiceStub
from provider_servers.faster_whisper import FasterWhisperProvider
from provider_servers.faster_whisper.engines import CHILD
from provider_servers.faster_whisper.settings import FasterWhisperSettings
from provider_servers.runtime.testing import CHECKS, Sample, chunks_of, serving
from tests.provider_servers.faster_whisper.conftest import engines, finished, phases, segments, until
from tests.support.mesh import processes

SECOND = 32_000


@pytest.fixture
async def served(settings):
    async with serving(FasterWhisperProvider(settings)) as served:
        yield served
    assert engines() == []


@pytest.fixture
def speech(media):
    return media.speech_wav()


@pytest.fixture
def long_speech(media, tmp_path):
    """Give 30 s, which make several windows."""
    sound = media.speech_wav().read_bytes()[44:]
    path = tmp_path / "long.wav"
    path.write_bytes(wav_header(16_000, 1, 5 * len(sound)) + sound * 5)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_it_keeps_the_contract(check, served, speech):
    bad = {"language": "klingon", "window_seconds": 3, "output_format": "docx"}
    await check(served, Sample({"audio": speech}, {"language": "en"}, bad_options=bad))


async def test_the_language_is_found_out_and_said_with_the_text(served, speech):
    events = await served.run(Sample({"audio": speech}))
    found = segments(events)
    assert found
    assert all(0 <= one.confidence <= 1 for one in found)
    assert finished(events).language
    assert 0 <= finished(events).confidence <= 1
    [usage] = [event.usage for event in events if event.HasField("usage")]
    assert (usage.unit, round(usage.input_units)) == ("second", 6)


async def test_a_language_may_be_said_as_a_tag(served, speech):
    events = await served.run(Sample({"audio": speech}, {"language": "de-AT"}))
    assert finished(events).language == "de"


async def test_words_have_times_when_they_are_wanted(served, speech):
    events = await served.run(Sample({"audio": speech}, {"word_timestamps": True, "language": "en"}))
    [words] = [one.words for one in segments(events)][:1]
    assert words
    assert all(word.start.ToNanoseconds() <= word.end.ToNanoseconds() <= 6e9 for word in words)


async def test_what_is_translated_is_english(served, speech):
    events = await served.run(Sample({"audio": speech}, {"translate": True, "language": "de"}))
    assert finished(events).language == "en"


async def test_only_the_language_may_be_asked_for(served, speech):
    events = await served.run(Sample({"audio": speech}, {"detect_language": True}))
    assert segments(events) == []
    assert finished(events).language
    assert 0 < finished(events).confidence <= 1


@pytest.mark.parametrize(
    ("form", "media_type", "begin"),
    [
        ("srt", "application/x-subrip", "1\n00:00:"),
        ("vtt", "text/vtt", "WEBVTT\n\n"),
        ("json", "application/json", '{"language": "en"'),
    ],
)
async def test_the_text_may_be_subtitles_or_json(served, speech, form, media_type, begin):
    events = await served.run(Sample({"audio": speech}, {"output_format": form, "language": "en"}))
    [started] = [event.output_started for event in events if event.HasField("output_started")]
    assert started.media_type == media_type
    text = b"".join(event.output_chunk.data for event in events if event.HasField("output_chunk")).decode()
    assert text.startswith(begin)
    if form == "json":
        assert len(json.loads(text)["segments"]) == len(segments(events))


@pytest.mark.slow
async def test_a_long_recording_is_heard_window_by_window(served, long_speech):
    events = await served.run(Sample({"audio": long_speech}, {"window_seconds": 8, "language": "en"}))
    times = [one.start.ToNanoseconds() / 1e9 for one in segments(events)]
    assert times == sorted(times)
    assert times[-1] > 16
    assert phases(events).count("running") >= 4
    whole = await served.run(Sample({"audio": long_speech}, {"window_seconds": 0, "language": "en"}))
    assert phases(whole).count("running") == 2
    assert finished(whole).size_bytes


@pytest.mark.slow
@pytest.mark.parametrize("vad", [False, True])
async def test_silence_and_scraps_of_sound_are_no_fault(served, tmp_path, vad):
    for name, samples in (("silence", SECOND), ("scrap", 320)):
        path = tmp_path / f"{name}.wav"
        path.write_bytes(wav_header(16_000, 1, samples) + bytes(samples))
        events = await served.run(Sample({"audio": path}, {"vad_filter": vad}))
        assert events[-1].HasField("finished")
        assert not vad or finished(events).size_bytes == 0


async def test_no_sound_is_an_error_before_anything_is_loaded(served, tmp_path):
    path = tmp_path / "nothing.wav"
    path.write_bytes(wav_header(16_000, 1, 0))
    with pytest.raises(InputEmpty):
        await served.run(Sample({"audio": path}))
    assert engines() == []


async def test_a_model_of_english_takes_no_other_language(served, speech):
    for option, value in (("translate", True), ("detect_language", True)):
        with pytest.raises(OptionUnknown):
            await served.run(Sample({"audio": speech}, {option: value}, model="distil-small.en"))
    with pytest.raises(OptionInvalid) as caught:
        await served.run(Sample({"audio": speech}, {"language": "de"}, model="distil-small.en"))
    assert list(caught.value.fields) == ["header.model_options.language"]


@pytest.mark.slow
async def test_an_engine_stays_loaded_for_the_next_call(served, speech):
    first = await served.run(Sample({"audio": speech}))
    [loaded] = engines()
    second = await served.run(Sample({"audio": speech}))
    assert engines() == [loaded]
    assert "loading" in phases(first)
    assert phases(second) == ["running", "running"]
    assert finished(first).digest == finished(second).digest
    both = await asyncio.gather(*(served.run(Sample({"audio": speech})) for _ in range(3)))
    assert {finished(events).digest for events in both} == {finished(first).digest}
    assert len(engines()) <= FasterWhisperProvider.max_concurrent_calls


@pytest.mark.slow
async def test_an_engine_that_waits_too_long_gives_its_memory_back(noise, speech):
    settings = FasterWhisperSettings(models=str(noise), device="cpu", idle_seconds=0.3)
    async with serving(FasterWhisperProvider(settings)) as served:
        await served.run(Sample({"audio": speech}))
        assert len(engines()) == 1
        await until(lambda: engines() == [])
        assert segments(await served.run(Sample({"audio": speech})))


@pytest.mark.slow
async def test_a_cancel_ends_the_engine_that_works_at_once(served, long_speech):
    sample = Sample({"audio": long_speech}, {"word_timestamps": True})
    for _ in range(5):
        running = asyncio.create_task(served.run(sample))
        await until(lambda: served.server.active_calls == 1)
        await until(lambda: len(engines()) == 1)
        await asyncio.sleep(0.2)
        busy = engines()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert await until(lambda busy=busy: served.server.active_calls == 0 and not set(busy) & set(engines())) < 0.5


@pytest.mark.slow
async def test_an_engine_that_is_killed_fails_its_call_alone(served, speech, long_speech):
    sample = Sample({"audio": long_speech}, {"window_seconds": 5, "language": "en"})
    with pytest.raises(BackendFailed) as caught:
        async for event in served.stream(served.header(sample), chunks_of(sample)):
            if event.HasField("segment"):
                for pid in engines():
                    os.kill(pid, signal.SIGKILL)
    assert caught.value.metadata["exit_code"] == "-9"
    assert "memory" in caught.value.hint
    assert segments(await served.run(Sample({"audio": speech})))


@pytest.mark.slow
async def test_an_engine_that_died_while_it_waited_is_replaced(served, speech):
    for _ in range(3):
        assert segments(await served.run(Sample({"audio": speech})))
        [waiting] = engines()
        os.kill(waiting, signal.SIGKILL)
        await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_the_server_answers_others_while_it_works(served, long_speech):
    running = asyncio.create_task(served.run(Sample({"audio": long_speech})))
    longest, last = 0.0, time.monotonic()
    while not running.done():
        await asyncio.sleep(0.01)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    await running
    assert longest < 0.5


async def test_what_the_engine_cannot_compute_with_is_named(noise, speech):
    settings = FasterWhisperSettings(models=str(noise), device="cpu", compute_type="float99")
    async with serving(FasterWhisperProvider(settings)) as served:
        with pytest.raises(ProviderNotConfigured) as caught:
            await served.run(Sample({"audio": speech}))
    assert "AUTOMARKET_FASTER_WHISPER_COMPUTE_TYPE" in caught.value.hint


@pytest.mark.slow
async def test_no_engine_outlives_a_provider_that_is_killed(short_dir, noise):
    environment = {**os.environ, "AUTOMARKET_FASTER_WHISPER_MODELS": str(noise)}
    command = ("provider_servers.runtime", "provider_servers.faster_whisper:FasterWhisperProvider")
    listen = ("--listen", f"unix:{short_dir}/p.sock")
    server = await asyncio.create_subprocess_exec(sys.executable, "-P", "-m", *command, *listen, env=environment)
    try:
        await until((short_dir / "p.sock").exists, 20)
        channel = open_channel(f"unix:{short_dir}/p.sock")
        starting = MediaProviderServiceStub(channel).StartService(media_provider_service_pb2.StartServiceRequest())
        states = [state.status.state async for state in starting]
        assert states[-1] == media_provider_service_pb2.SERVICE_STATE_READY
        await channel.close()
        [pid] = engines(server.pid)
    finally:
        server.kill()
        await server.wait()
    await until(lambda: CHILD not in processes().get(pid, ""), 3)
