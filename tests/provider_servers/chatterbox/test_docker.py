"""The provider next to a real container: started by the first call, and what calls see when it comes to harm."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from automarket.errors import BackendFailed
from provider_servers.chatterbox import ChatterboxProvider
from services.chatterbox import ChatterboxSettings
from tests.provider_servers.calls import Answer, calling
from tests.support.docker import backend_image, client, container_notes, set_faults
from tests.support.mesh import free_port
from tests.support.pitch import pitch

pytestmark = [pytest.mark.slow, pytest.mark.docker]

TEXT = " ".join(f"This is sentence {word}." for word in ("one", "two", "three", "four", "five") * 4)


@pytest.fixture
def calling_in_docker(short_dir):
    """Give what serves a provider whose container is still to be started, with the container's URL."""

    @asynccontextmanager
    async def serve(**settings):
        port, image = free_port(), await asyncio.to_thread(backend_image, "chatterbox")
        made = ChatterboxSettings(image=image, port=port, state_dir=short_dir, **settings)
        async with calling(ChatterboxProvider(made)) as call:
            yield call, f"http://127.0.0.1:{port}"

    return serve


def containers():
    with client() as docker:
        return [one.id for one in docker.containers.list(filters={"label": "automarket.backend=chatterbox"})]


def to_container(what):
    """Do something to the one container there is."""
    with client() as docker:
        (one,) = docker.containers.list(filters={"label": "automarket.backend=chatterbox"})
        getattr(one, what)()


async def after_first_sound(events, do):
    """Give the whole answer of a call, and do something once its first sound is there."""
    answer = Answer()
    async for event in events:
        answer.take(event)
        if do is not None and event.WhichOneof("event") == "output_chunk":
            await asyncio.to_thread(do)
            do = None
    return answer


def whole_wav(answer):
    data = answer.outputs[0]
    return data[:40] + (len(data) - 44).to_bytes(4, "little") + data[44:]


async def test_calls_start_one_container_and_hear_of_it_and_pitch_follows_the_sample(calling_in_docker, voice_of):
    samples = [voice_of(110), voice_of(220)]
    async with calling_in_docker() as (call, _):
        begin = time.monotonic()
        first = call.stream("text-to-speech", "Hello.")
        assert (await anext(first)).progress.phase in ("starting", "pulling", "loading")
        assert time.monotonic() - begin < 2
        answers = await asyncio.gather(*(call("text-to-speech", "Good morning to you all.", one) for one in samples))
        async for _ in first:
            pass
        assert len(containers()) == 1
        assert "loading" in {event.progress.phase for event in answers[0].events}
        for sample, answer in zip(samples, answers, strict=True):
            assert abs(pitch(whole_wav(answer)) / pitch(sample) - 1) < 0.12
    assert containers() == []


@pytest.mark.parametrize("harm", ["kill", "pause"])
async def test_a_call_goes_on_when_its_container_is_killed_or_paused(calling_in_docker, voice_of, harm):
    async with calling_in_docker() as (call, url):
        plain = await call("text-to-speech", TEXT, voice_of(150), timeout=120)
        await set_faults(url, delay_seconds=0.5)  # so that the harm comes in the middle
        events = call.stream("text-to-speech", TEXT, voice_of(150), timeout=120)
        answer = await after_first_sound(events, lambda: to_container(harm))
        assert answer.finished
        assert len(answer.outputs[0]) == len(plain.outputs[0])
        assert len(containers()) == 1


async def test_a_container_without_enough_memory_is_told_as_such(calling_in_docker):
    async with calling_in_docker(memory="200m") as (call, url):
        await call("text-to-speech", "Hello.")
        await set_faults(url, eat_memory=True, times=1, delay_seconds=5)
        with pytest.raises(BackendFailed, match="more memory than it may have") as caught:
            await call("text-to-speech", TEXT)
        assert "AUTOMARKET_CHATTERBOX_MEMORY" in caught.value.hint
        assert (await call("text-to-speech", "Hello.")).finished


async def test_a_cancel_leaves_the_container_at_most_the_sentence_it_had_begun(calling_in_docker):
    async with calling_in_docker() as (call, _):
        for _ in range(3):
            events = call.stream("text-to-speech", TEXT)
            async for event in events:
                if event.WhichOneof("event") == "output_chunk":
                    break
            left_at = time.time()
            await events.aclose()
            await asyncio.sleep(1.5)
            assert sum(note["at"] > left_at for note in container_notes("chatterbox", "end", path="/tts")) <= 1
