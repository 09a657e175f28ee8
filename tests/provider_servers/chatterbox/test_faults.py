"""What becomes of calls that are cancelled, and of calls whose server fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time

import httpx
import pytest

from automarket.errors import BackendFailed, ServiceStartFailed
from tests.provider_servers.calls import calling
from tests.support.docker import serving_backend

TEXT = " ".join(f"This is sentence {word}." for word in ("one", "two", "three", "four", "five") * 4)
SLOW = {"TEST_SENTENCE_SECONDS": 0.2}


async def first_chunk(events):
    async for event in events:
        if event.WhichOneof("event") == "output_chunk":
            return
    raise AssertionError("there was no sound")


async def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def ended(backend):
    return len(backend.notes("end", path="/tts"))


async def at_rest(backend):
    """Wait until the server has ended every request that it has begun."""
    await until(lambda: ended(backend) == len(backend.notes("begin", path="/tts")))


async def test_a_cancel_frees_the_caller_at_once_and_nothing_further_is_sent_25_times(starting):
    async with starting(**SLOW) as (backend, call):
        for _ in range(25):
            busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
            events = call.stream("text-to-speech", TEXT)
            await first_chunk(events)
            left_at = time.time()
            await events.aclose()
            assert time.time() - left_at < 0.2 * busy
            await asyncio.sleep(0.3)
            await at_rest(backend)
            assert backend.notes("begin", path="/tts")[-1]["at"] < left_at + 0.05 * busy
            # The server is free after the sentence that it had begun.
            assert sum(note["at"] > left_at for note in backend.notes("end", path="/tts")) <= 1


async def test_sentences_that_nobody_waits_for_do_not_pile_up(starting):
    async with starting(TEST_SENTENCE_SECONDS=0.8) as (backend, call):
        await call("tts", "Hello.")  # the voices are known from here on
        begin = len(backend.notes("speak"))
        for _ in range(10):
            task = asyncio.create_task(call("tts", TEXT))
            await asyncio.sleep(0.1)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await call("tts", "Hello.")
        assert len(backend.notes("speak")) - begin <= 4


async def test_a_second_call_is_taken_while_the_first_one_works(starting):
    async with starting(TEST_SENTENCE_SECONDS=3) as (_, call):
        first = asyncio.create_task(call("tts", "Hello. Good morning."))
        await asyncio.sleep(1)
        begin = time.monotonic()
        await call("tts", "Hello.")
        assert time.monotonic() - begin < 9
        await first


@pytest.mark.parametrize("fault", [{"status": 503}, {"half": True}])
async def test_a_sentence_that_fails_in_passing_is_spoken_once_more(server, provider_at, fault):
    async with calling(provider_at(server.url)) as call:
        good = await call("tts", "Hello there. How are you?", seed=1)
        await server.misbehave(times=1, path="/tts", **fault)
        again = await call("tts", "Hello there. How are you?", seed=1)
    assert again.outputs[0] == good.outputs[0]
    assert len(server.notes("begin", path="/tts")) == 5


@pytest.mark.parametrize(
    ("fault", "requests", "words"),
    [
        ({"status": 503}, 2, "has no model"),
        ({"half": True}, 2, "broke|half"),
        ({"status": 500}, 1, "failed with 500"),
        ({"garbage": True}, 1, "WAV was due"),
    ],
)
async def test_a_sentence_that_keeps_failing_is_named(server, provider_at, fault, requests, words):
    async with calling(provider_at(server.url)) as call:
        await server.misbehave(path="/tts", **fault)
        with pytest.raises(BackendFailed, match=f"sentence 1 of 20 could not be spoken: .*({words})") as caught:
            await call("tts", TEXT)
        assert caught.value.metadata["sentence"] == "1"
        assert len(server.notes("begin", path="/tts")) == requests
        await server.misbehave()
        assert (await call("tts", "Hello.")).finished


async def test_a_server_that_ends_during_a_call_is_told_and_the_next_call_uses_the_new_one(provider_at, voice_of):
    sample = voice_of(150)
    async with serving_backend("chatterbox") as first, calling(provider_at(first.url)) as call:
        events = call.stream("text-to-speech", TEXT, sample)
        await first_chunk(events)
        await first.kill()
        begin = time.monotonic()
        with pytest.raises((BackendFailed, ServiceStartFailed)):
            async for _ in events:
                pass
        assert time.monotonic() - begin < 45
        async with serving_backend("chatterbox", port=first.port) as second:
            assert (await call("text-to-speech", "Hello.", sample)).finished
            # The sample went with the first server, and is uploaded again.
            assert [note["status"] for note in second.notes("end", path="/tts")] == [404, 200]


async def test_a_server_that_comes_back_during_a_call_goes_on_with_it(provider_at, voice_of):
    async with serving_backend("chatterbox") as first, calling(provider_at(first.url)) as call:
        task = asyncio.create_task(call("text-to-speech", TEXT, voice_of(150)))
        await until(lambda: ended(first) >= 3)
        await first.kill()
        async with serving_backend("chatterbox", port=first.port) as second:
            answer = await task
            assert len(second.notes("speak")) >= 16
    assert answer.finished


async def test_a_server_that_lost_its_model_is_told(server, provider_at):
    async with calling(provider_at(server.url)) as call, httpx.AsyncClient(base_url=server.url) as http:
        events = call.stream("text-to-speech", TEXT)
        await first_chunk(events)
        await http.post("/api/unload")
        with pytest.raises((BackendFailed, ServiceStartFailed)):
            async for _ in events:
                pass


async def test_the_end_of_the_provider_ends_what_is_on_its_way(starting):
    async with starting(TEST_SENTENCE_SECONDS=30) as (_, call):
        events = call.stream("text-to-speech", TEXT)
        await anext(events)
        await events.aclose()
        begin = time.monotonic()
    assert time.monotonic() - begin < 10  # two probes of 2 s are in it
