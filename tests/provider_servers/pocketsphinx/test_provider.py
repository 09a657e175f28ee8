"""pocketsphinx served for real: segments while sound arrives, decoders that come and go."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from automarket.errors import BackendFailed, InputEmpty, OptionInvalid
from automarket.media.wav import wav_header
from provider_servers.pocketsphinx import PocketsphinxProvider
from provider_servers.pocketsphinx.decoders import CHILD
from provider_servers.runtime.testing import Sample, chunk, serving
from tests.support.media import SENTENCE
from tests.support.mesh import parent_of, processes
from tests.support.require import require
from tests.support.words import word_error_rate

EXAMPLES = Path(__file__).resolve().parent.parent.parent.parent / "examples"
SECOND = 32_000


def decoders(parent=None):
    """Give the decoder processes below a process."""
    parent = parent or os.getpid()
    return [pid for pid, command in processes().items() if CHILD in command and parent_of(pid) == parent]


async def until(condition, seconds=5.0):
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds, f"not within {seconds} s"
        await asyncio.sleep(0.01)
    return time.monotonic() - begin


@pytest.fixture
async def served():
    require("pocketsphinx", "ffmpeg")
    async with serving(PocketsphinxProvider()) as served:
        yield served
    assert decoders() == []


def segments(events):
    return [event.segment for event in events if event.HasField("segment")]


async def test_a_film_becomes_words(served):
    events = await served.run(Sample({"audio": EXAMPLES / "talk.mp4"}))
    found = segments(events)
    assert word_error_rate((EXAMPLES / "talk.txt").read_text(), " ".join(one.text for one in found)) < 0.10
    assert not any(one.words for one in found)
    times = [(one.start.ToNanoseconds(), one.end.ToNanoseconds()) for one in found]
    assert times == sorted(times)
    [usage] = [event.usage for event in events if event.HasField("usage")]
    assert usage.unit == "second"
    assert 30 < usage.input_units < 50
    [finished] = [event.output_finished for event in events if event.HasField("output_finished")]
    assert finished.language == "en-US"


async def test_words_come_with_their_times_when_asked_for(served, media):
    events = await served.run(Sample({"audio": media.speech_wav()}, options={"word_timestamps": True}))
    found = segments(events)
    assert [word.text for one in found for word in one.words] == " ".join(one.text for one in found).split()
    assert word_error_rate(SENTENCE, " ".join(one.text for one in found)) < 0.10


async def test_segments_come_while_the_speaker_goes_on(served, media):
    first, sound = served.header(Sample({"audio": media.speech_wav()})), media.speech_wav().read_bytes()[44:]
    go_on = asyncio.Event()

    async def speaking():
        yield chunk(wav_header(16_000, 1))
        offset = 44
        for piece in (sound, bytes(SECOND)):
            yield chunk(piece, offset=offset)
            offset += len(piece)
        async with asyncio.timeout(30):
            await go_on.wait()
        yield chunk(sound, offset=offset, last=True)

    heard = []
    async for event in served.stream(first, speaking()):
        if event.HasField("segment"):
            heard.append(event.segment)
            go_on.set()
    assert len(heard) >= 2
    assert heard[-1].start.ToNanoseconds() / 1e9 > len(sound) / SECOND


async def test_silence_is_an_empty_text_and_no_sound_is_an_error(served, tmp_path):
    silence, nothing = tmp_path / "silence.wav", tmp_path / "nothing.wav"
    silence.write_bytes(wav_header(16_000, 1, SECOND) + bytes(SECOND))
    nothing.write_bytes(wav_header(16_000, 1, 0))
    events = await served.run(Sample({"audio": silence}))
    assert segments(events) == []
    [finished] = [event.output_finished for event in events if event.HasField("output_finished")]
    assert finished.size_bytes == 0
    with pytest.raises(InputEmpty):
        await served.run(Sample({"audio": nothing}))


async def test_another_language_is_refused_by_name(served, media):
    with pytest.raises(OptionInvalid) as caught:
        await served.run(Sample({"audio": media.speech_wav()}, options={"language": "fr"}))
    assert list(caught.value.fields) == ["header.model_options.language"]


async def test_calls_share_decoders_and_one_stays_loaded(served, media):
    [loaded] = decoders()
    await served.run(Sample({"audio": media.speech_wav()}))
    assert decoders() == [loaded]
    texts = await asyncio.gather(*(served.run(Sample({"audio": media.speech_wav()})) for _ in range(4)))
    assert len({" ".join(one.text for one in segments(events)) for events in texts}) == 1
    assert len(decoders()) <= PocketsphinxProvider.max_concurrent_calls


async def test_a_cancel_in_the_middle_of_decoding_ends_the_decoder_at_once(served):
    sample = Sample({"audio": EXAMPLES / "talk.mp4"})
    for _ in range(25):
        running = asyncio.create_task(served.run(sample))
        await until(lambda: served.server.active_calls == 1)
        await asyncio.sleep(0.15)
        busy = decoders()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert await until(lambda busy=busy: served.server.active_calls == 0 and not set(busy) & set(decoders())) < 0.5


async def test_a_decoder_that_is_killed_fails_its_call_alone(served, media):
    running = asyncio.create_task(served.run(Sample({"audio": EXAMPLES / "talk.mp4"})))
    await until(lambda: served.server.active_calls == 1)
    await asyncio.sleep(0.2)
    for pid in decoders():
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(BackendFailed) as caught:
        await running
    assert caught.value.metadata["exit_code"] == "-9"
    assert segments(await served.run(Sample({"audio": media.speech_wav()})))


async def test_a_decoder_that_died_while_it_waited_is_replaced(served, media):
    for _ in range(5):
        [waiting] = decoders()
        os.kill(waiting, signal.SIGKILL)
        assert segments(await served.run(Sample({"audio": media.speech_wav()})))


async def test_the_server_answers_others_while_it_decodes(served):
    running = asyncio.create_task(served.run(Sample({"audio": EXAMPLES / "talk.mp4"})))
    longest, last = 0.0, time.monotonic()
    while not running.done():
        await asyncio.sleep(0.01)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    await running
    assert longest < 0.3


async def test_no_decoder_outlives_a_provider_that_is_killed(short_dir):
    require("pocketsphinx")
    command = ("provider_servers.runtime", "pocketsphinx", "--listen", f"unix:{short_dir}/p.sock")
    server = await asyncio.create_subprocess_exec(sys.executable, "-P", "-m", *command)
    try:
        await until(lambda: decoders(server.pid), 20)
        [pid] = decoders(server.pid)
    finally:
        server.kill()
        await server.wait()
    await until(lambda: CHILD not in processes().get(pid, ""), 2)
