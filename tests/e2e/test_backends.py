"""Backends in Docker, the whole path as a user has it: `automarket up`, commands, and containers that come and go."""

from __future__ import annotations

import asyncio
import datetime as dt
import statistics
import time
from contextlib import aclosing

import pytest

import automarket
from automarket.assets import AssetLoader
from tests.e2e.backends import ROUNDS, TALK, WORDS, containers, eventually, mesh_with, spoken
from tests.support.docker import client, container_notes, set_faults
from tests.support.pitch import pitch
from tests.support.require import require
from tests.support.words import word_error_rate

pytestmark = [pytest.mark.slow, pytest.mark.docker]

WAITING = {"pulling", "starting", "loading"}


async def test_whisper_is_started_used_and_stopped_by_commands(short_dir):
    require("ffmpeg")
    async with mesh_with("whisper", short_dir) as (running, _):

        async def cli(*arguments):
            done = await asyncio.to_thread(running.cli, *arguments)
            assert done.returncode == 0, done.stderr
            return done.stdout

        assert "absent" in await cli("services", "ls")
        states = [line.split()[1] for line in (await cli("services", "up", "whisper")).splitlines()]
        assert states[-1] == "ready"
        assert {"created", "starting", "loading"} <= set(states)
        assert len(containers("whisper")) == 1

        said = await cli("transform", str(TALK), "-c", "speech-to-text", "--provider", "whisper")
        assert word_error_rate(WORDS, said) < 0.25, said
        assert "ready" in await cli("services", "status", "whisper")
        assert '"event": "listen"' in await cli("services", "logs", "whisper")
        assert "stopped" in await cli("services", "down", "whisper")
        assert containers("whisper") == []


async def test_chatterbox_speaks_by_itself_and_with_the_voice_of_a_sample(short_dir, tmp_path):
    require("flite")
    script = tmp_path / "script.txt"
    script.write_text("Good morning to you all. This is a machine that reads a text.")
    text = "this is a sample of my own voice today " * 3
    samples = [spoken(tmp_path / f"voice-{hertz}.wav", text, hertz) for hertz in (110, 220)]
    async with mesh_with("chatterbox", short_dir) as (running, _):

        async def speak(name, *voice):
            path = tmp_path / f"{name}.wav"
            inputs = (str(script), *map(str, voice), "--capability", "text-to-speech", "--provider", "chatterbox")
            done = await asyncio.to_thread(running.cli, "transform", *inputs, "-o", str(path))
            assert done.returncode == 0, done.stderr
            return path

        assert pitch(await speak("plain")) > 0
        low, high = [pitch(await speak(f"cloned-{number}", one)) for number, one in enumerate(samples)]
        wanted = pitch(samples[1]) / pitch(samples[0])
        assert wanted > 1.6
        assert abs(high / low / wanted - 1) < 0.2
        assert len(containers("chatterbox")) == 1


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_ten_calls_start_one_container_hear_of_it_and_leave_it_to_be_stopped_when_idle(
    short_dir, tmp_path, rounds
):
    require("flite")
    sound = AssetLoader.load(spoken(tmp_path / "said.wav", "good morning"))
    async with (
        mesh_with("whisper", short_dir, idle_seconds=2) as (running, _),
        automarket.connect(running.address) as mesh,
    ):
        silences = []
        for number in range(rounds):
            assert containers("whisper") == []
            calls = await asyncio.gather(*(hears_of_the_start(mesh, sound) for _ in range(10)))
            started_at = when_started()
            for first, longest, words in calls:
                assert first < started_at + 0.3, f"heard {first - started_at:.2f} s after the start was under way"
                silences.append(longest)
                assert word_error_rate("good morning", words) <= 0.5
            assert len(container_notes("whisper", "start")) == number + 1
            await eventually(lambda: not containers("whisper"), 15, "it is not stopped though nobody uses it")
        assert statistics.median(silences) < 2, f"one second, on a machine that is busy: {silences}"


async def hears_of_the_start(mesh, sound):
    """Give when a call heard that it waits for its backend, the longest time without news, and the words."""
    first, longest, last = 0.0, 0.0, time.time()
    stream = mesh.stream(sound, capability="speech-to-text", provider="whisper")
    async for event in stream:
        if isinstance(event, automarket.events.Progress) and event.phase in WAITING:
            first = first or time.time()
        longest = max(longest, time.time() - last)
        last = time.time()
    assert first, "it heard nothing of the start"
    return first, longest, (await stream.result()).content


def when_started():
    """Give when Docker began to run the one container."""
    with client() as docker:
        (one,) = docker.containers.list(all=True, filters={"label": "automarket.backend=whisper"})
        return dt.datetime.fromisoformat(one.attrs["State"]["StartedAt"][:26] + "+00:00").timestamp()


async def test_a_killed_provider_server_finds_its_container_again(short_dir, tmp_path):
    require("flite")
    sound = spoken(tmp_path / "said.wav", "good morning")
    async with mesh_with("whisper", short_dir) as (running, _), automarket.connect(running.address) as mesh:
        handle = mesh.provider("whisper")
        await handle.start_service()
        before = containers("whisper")
        (instance,) = (await handle.info()).instances
        running.kill("provider_servers.runtime", "whisper")
        await until_another(handle, instance.instance_id)
        heard = await mesh.transform(sound, capability="speech-to-text", provider="whisper")
        assert word_error_rate("good morning", heard.content) <= 0.5
        assert containers("whisper") == before
        assert len(container_notes("whisper", "start")) == 1
        assert (await handle.service_status()).managed


async def until_another(handle, instance_id):
    """Wait until another instance of a provider serves."""
    until = time.monotonic() + 30
    while instance_id in (found := [one.instance_id for one in (await handle.info()).instances]) or not found:
        assert time.monotonic() < until, "it did not come back"
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_cancel_frees_the_caller_and_the_backend_hears_one_window_more_at_most(short_dir, rounds):
    async with mesh_with("whisper", short_dir) as (running, url), automarket.connect(running.address) as mesh:
        talk = await mesh.assets.put(TALK)
        model = await mesh.provider("whisper").speech_to_text()
        for _ in range(rounds):
            stream = model.stream(talk, window_seconds=5)
            async with aclosing(aiter(stream)) as events:
                async for event in events:
                    if isinstance(event, automarket.events.Segment):
                        break
                left, left_at = time.monotonic(), time.time()
            assert time.monotonic() - left < 0.5, "200 ms, on a machine that is busy"
            await set_faults(url)  # the backend answers again: it has done what it had begun
            await asyncio.sleep(1)
            begun = [note["at"] for note in container_notes("whisper", "begin", "/asr")]
            assert sum(at > left_at + 0.5 for at in begun) == 0, "something further was sent"
            assert len(container_notes("whisper", "end", "/asr")) == len(begun), "it still works"
