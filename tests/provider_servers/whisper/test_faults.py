"""A backend that fails, calls that share it, and calls that end early: always one request at a time, and no more."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from contextlib import aclosing

import pytest

from automarket.errors import BackendFailed, DeadlineExceeded, ServiceStartFailed
from automarket.media.wav import wav_header
from automarket.service_status import ServiceState
from provider_servers.runtime.testing import Sample, chunk, chunks_of, serving
from tests.support.backends import serving_backend
from tests.support.mesh import free_port
from tests.support.require import require

SECOND = 32_000
FIVE = {"window_seconds": 5}


@pytest.fixture(autouse=True)
def _parts():
    require("pocketsphinx", "ffmpeg", "flite")


async def until(condition, seconds=20.0):
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds, f"not within {seconds} s"
        await asyncio.sleep(0.005)
    return time.monotonic() - begin


def messages(events):
    return [event.progress.message for event in events if event.HasField("progress")]


def most_at_once(notes):
    """Give how many requests the backend had at the same time."""
    open_ids, most = set(), 0
    for note in notes:
        (open_ids.add if note["event"] == "begin" else open_ids.discard)(note["id"])
        most = max(most, len(open_ids))
    return most


# --- a backend that fails ---


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 503}, {"half": True}, {"garbage": True}])
async def test_a_window_that_fails_is_tried_once_more_alone(served, silence, backend, fault):
    backend.misbehave(path="/asr", times=1, **fault)
    events = await served.run(Sample({"audio": silence(12)}, FIVE))
    assert events[-1].HasField("finished")
    assert sum("is tried once more" in message for message in messages(events)) == 1
    assert backend.requests() == 4


async def test_a_window_that_fails_twice_ends_the_call_and_is_named(served, silence, backend):
    first = served.stream(served.header(sample := Sample({"audio": silence(12)}, FIVE)), chunks_of(sample))
    with pytest.raises(BackendFailed, match=r"0:0\d\.\d to 0:\d\d\.\d of the recording failed twice") as caught:
        async for event in first:
            if "hearing" in event.progress.message:
                backend.misbehave(path="/asr", status=500)
    assert caught.value.metadata["upstream_code"] == "500"
    begin, end = map(float, caught.value.metadata["window"].split("-"))
    assert 0 <= begin < end <= 12
    assert "log" in caught.value.hint
    backend.misbehave()
    assert (await served.run(Sample({"audio": silence(1)})))[-1].HasField("finished")


async def test_the_lines_of_the_call_say_what_was_tried_again(served, silence, backend):
    backend.misbehave(path="/asr", times=1, status=500)
    sample = Sample({"audio": silence(1)})
    first = served.header(sample)
    await served.transform(first, chunks_of(sample))
    kept = served.server._host.diagnostics.answer(first.header.request_id)
    assert any("tried once more" in line for line in kept.log_lines)


async def test_a_backend_that_dies_and_comes_back_hears_the_window_again(provider_at, silence):
    port = free_port()
    async with serving(provider_at(f"http://127.0.0.1:{port}", start_seconds=60)) as served:
        async with serving_backend("whisper", port=port, delay_seconds=0.5) as dies:
            running = asyncio.create_task(served.run(Sample({"audio": silence(12)}, FIVE)))
            await until(lambda: dies.notes("begin", "/asr"), 60)
            await dies.kill()
        async with serving_backend("whisper", port=port) as comes:
            events = await running
            assert events[-1].HasField("finished")
            assert len(comes.notes("begin", "/asr")) >= 2


async def test_a_backend_that_stays_away_is_an_error_that_says_so(provider_at, silence):
    port = free_port()
    async with serving(provider_at(f"http://127.0.0.1:{port}", start_seconds=1)) as served:
        with pytest.raises(ServiceStartFailed, match="does not answer"):
            await served.run(Sample({"audio": silence(1)}))
        async with serving_backend("whisper", port=port):
            assert (await served.run(Sample({"audio": silence(1)})))[-1].HasField("finished")


# --- calls that share it ---


async def test_many_calls_at_once_are_heard_one_request_at_a_time(served, silence, backend):
    backend.misbehave(path="/asr", delay_seconds=0.05)
    answers = await asyncio.gather(*(served.run(Sample({"audio": silence(1)})) for _ in range(16)))
    assert all(events[-1].HasField("finished") for events in answers)
    assert backend.requests() == 16
    assert most_at_once(backend.notes(path="/asr")) == 1
    assert any("ahead" in message for events in answers for message in messages(events))


async def test_a_short_call_does_not_wait_for_a_long_one(served, silence, backend):
    backend.misbehave(path="/asr", delay_seconds=0.2)
    long = asyncio.create_task(served.run(Sample({"audio": silence(60)}, FIVE)))
    await until(lambda: backend.requests() >= 1)
    before = backend.requests()
    await served.run(Sample({"audio": silence(1)}))
    assert not long.done()
    assert backend.requests() <= before + 4  # the one that is out, its own, and what went out meanwhile
    await long
    assert most_at_once(backend.notes(path="/asr")) == 1


async def test_while_it_works_it_is_well(served, silence, backend):
    backend.misbehave(path="/asr", delay_seconds=1)
    running = asyncio.create_task(served.run(Sample({"audio": silence(1)})))
    await until(lambda: backend.requests() == 1)
    status = await served.provider.service_status()
    assert (status.state, status.healthy) == (ServiceState.BUSY, True)
    await running
    assert (await served.provider.service_status()).state == ServiceState.READY


# --- calls that end early ---


async def test_a_cancel_frees_the_caller_at_once_and_sends_nothing_further(served, silence, backend):
    backend.misbehave(path="/asr", delay_seconds=0.25)
    sample = Sample({"audio": silence(120)}, FIVE)
    took = []
    for number in range(25):
        running = asyncio.create_task(served.run(sample))
        await until(lambda number=number: backend.requests() == number + 1)
        running.cancel()
        begin = time.monotonic()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await until(lambda: served.server.active_calls == 0, 0.5)
        took.append(time.monotonic() - begin)
    assert statistics.median(took) < 0.2, took
    assert max(took) < 0.5, took  # on a machine that is busy
    await until(lambda: len(backend.notes("end", "/asr")) == 25)
    await asyncio.sleep(0.5)
    assert backend.requests() == 25
    assert most_at_once(backend.notes(path="/asr")) == 1


async def test_a_call_that_leaves_the_line_sends_nothing(served, silence, backend):
    backend.misbehave(path="/asr", delay_seconds=0.5)
    first = asyncio.create_task(served.run(Sample({"audio": silence(1)})))
    await until(lambda: backend.requests() == 1)
    second = asyncio.create_task(served.run(Sample({"audio": silence(1)})))
    await until(lambda: served.server.active_calls == 2)
    await asyncio.sleep(0.2)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    await first
    await asyncio.sleep(0.3)
    assert backend.requests() == 1


async def test_the_next_call_is_sent_when_the_cancelled_one_s_window_is_done(served, silence, backend):
    backend.misbehave(path="/asr", times=1, delay_seconds=1)
    first = asyncio.create_task(served.run(Sample({"audio": silence(60)}, FIVE)))
    await until(lambda: backend.requests() == 1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert (await served.run(Sample({"audio": silence(1)})))[-1].HasField("finished")
    begins, ends = backend.notes("begin", "/asr"), backend.notes("end", "/asr")
    assert len(begins) == 2
    assert begins[1]["at"] >= ends[0]["at"]


async def test_a_deadline_ends_the_call_while_the_backend_works(served, silence, backend):
    backend.misbehave(path="/asr", delay_seconds=5)
    sample = Sample({"audio": silence(12)}, FIVE)
    with pytest.raises(DeadlineExceeded):
        await served.transform(served.header(sample), chunks_of(sample), timeout=4.0)
    await until(lambda: served.server.active_calls == 0, 1)
    await until(lambda: backend.notes("end", "/asr"))
    await asyncio.sleep(0.5)
    assert backend.requests() == 1


async def test_the_server_ends_at_once_while_the_backend_works(backend, provider_at, silence):
    backend.misbehave(path="/asr", delay_seconds=3)
    async with serving(provider_at(backend.url)) as served:
        running = asyncio.create_task(served.run(Sample({"audio": silence(1)})))
        await until(lambda: backend.requests() == 1)
        begin = time.monotonic()
    assert time.monotonic() - begin < 2.5
    await asyncio.gather(running, return_exceptions=True)


async def test_segments_come_while_the_speaker_goes_on(served, media):
    speech = media.speech_wav().read_bytes()[44:]
    go_on = asyncio.Event()

    async def speaking():
        yield chunk(wav_header(16_000, 1))
        yield chunk(speech + bytes(3 * SECOND), offset=44)
        async with asyncio.timeout(60):
            await go_on.wait()
        yield chunk(bytes(SECOND), offset=44 + len(speech) + 3 * SECOND, last=True)

    heard = []
    first = served.header(Sample({"audio": media.speech_wav()}, FIVE))
    async with aclosing(served.stream(first, speaking())) as events:
        async for event in events:
            if event.HasField("segment"):
                heard.append(event.segment)
                go_on.set()
    assert heard
