"""What goes wrong with backends in Docker, made for real below a whole mesh: who calls is told why, and the next call
works.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import time

import pytest

import automarket
from automarket.assets import AssetLoader
from automarket.errors import AutoMarketError, BackendFailed, DockerStopped, PortTaken, ServiceStartFailed
from tests.e2e.backends import ROUNDS, TALK, containers, mesh_with, spoken, to_container
from tests.services.engine import PrivateEngine
from tests.support.docker import backend_image, client, set_faults
from tests.support.mesh import free_port, mesh_running
from tests.support.require import missing, require
from tests.support.words import word_error_rate

SENTENCE, TIMES = "the quick brown fox jumps over the lazy dog", 3


@pytest.fixture
def sound(tmp_path):
    require("flite")
    return AssetLoader.load(spoken(tmp_path / "said.wav", f"{SENTENCE}. " * TIMES))


async def hear(mesh, sound, at_first_segment=None):
    """Give what Whisper hears in sound of ten seconds, and do something when its first window is heard."""
    stream = mesh.stream(
        sound, capability="speech-to-text", provider="whisper", window_seconds=5, language="en", timeout=90
    )
    async for event in stream:
        if at_first_segment is not None and isinstance(event, automarket.events.Segment):
            await asyncio.to_thread(at_first_segment)
            at_first_segment = None
    return (await stream.result()).content


def is_right(words):
    return word_error_rate(" ".join([SENTENCE] * TIMES), words) < 0.4


def disconnect(container):
    (network,) = container.attrs["NetworkSettings"]["Networks"]
    with client() as docker:
        docker.networks.get(network).disconnect(container.id)


def kill(container):
    container.kill()


def pause(container):
    container.pause()


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_container_that_comes_to_harm_costs_at_most_its_call(short_dir, sound, rounds):
    async with mesh_with("whisper", short_dir) as (running, url), automarket.connect(running.address) as mesh:
        assert is_right(await hear(mesh, sound))
        for _ in range(rounds):
            to_container("whisper", kill)  # while nobody uses it
            assert is_right(await hear(mesh, sound))
            for harm in (kill, pause, disconnect):
                await set_faults(url, path="/asr", delay_seconds=0.5)
                before = time.monotonic()
                heard = ""
                with contextlib.suppress(BackendFailed):
                    heard = await hear(mesh, sound, lambda harm=harm: to_container("whisper", harm))
                heard = heard or await hear(mesh, sound)
                assert is_right(heard), heard
                assert time.monotonic() - before < 60
                assert len(containers("whisper")) == 1


@pytest.mark.slow
@pytest.mark.docker
async def test_a_taken_port_and_too_little_memory_are_said_with_what_mends_them(short_dir, sound):
    eating = await asyncio.to_thread(backend_image, "whisper", path="/asr", eat_memory=True, delay_seconds=30)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        async with (
            mesh_with("whisper", short_dir, image=eating, port=port, memory="200m") as (running, url),
            automarket.connect(running.address) as mesh,
        ):
            with pytest.raises(PortTaken, match=f"port {port}") as taken:
                await hear(mesh, sound)
            assert "AUTOMARKET_WHISPER_PORT" in taken.value.hint
            done = await asyncio.to_thread(running.cli, "services", "up", "whisper")
            assert (done.returncode, "AUTOMARKET_WHISPER_PORT" in done.stderr) == (6, True)

            other.close()
            with pytest.raises(BackendFailed, match="more memory than it may have") as eaten:
                await hear(mesh, sound)
            assert "AUTOMARKET_WHISPER_MEMORY" in eaten.value.hint
            status = await mesh.provider("whisper").service_status()
            assert (status.out_of_memory, status.exit_code) == (True, 137)
            await mesh.provider("whisper").start_service()
            await set_faults(url)
            assert is_right(await hear(mesh, sound))


@pytest.mark.slow
@pytest.mark.docker
async def test_an_image_that_is_nowhere_and_one_that_never_gets_ready_are_told_with_the_reason(short_dir, sound):
    gone = f"127.0.0.1:{free_port()}/whisper:gone"
    async with mesh_with("whisper", short_dir, image=gone) as (running, _):
        done = await asyncio.to_thread(running.cli, "services", "up", "whisper")
        assert done.returncode == 7
        assert gone in done.stderr
        assert "AUTOMARKET_WHISPER_IMAGE" in done.stderr
        assert containers("whisper") == []
    stuck = await asyncio.to_thread(backend_image, "whisper", start_seconds=600)
    async with (
        mesh_with("whisper", short_dir, image=stuck, start_seconds=3) as (running, _),
        automarket.connect(running.address) as mesh,
    ):
        with pytest.raises(ServiceStartFailed, match="no progress for 3 s") as failed:
            await hear(mesh, sound)
        assert any('"event": "start"' in line for line in failed.value.log_lines), failed.value.log_lines
        assert containers("whisper") == []
        status = json.loads((await asyncio.to_thread(running.cli, "services", "status", "whisper", "--json")).stdout)
        assert (status["state"], bool(status["log_lines"])) == ("failed", True)


@pytest.mark.slow
@pytest.mark.docker
async def test_a_full_volume_is_told_by_the_backend_s_own_words_and_room_mends_it(short_dir, sound):
    filling = await asyncio.to_thread(backend_image, "whisper", fill="/root/.cache", fill_bytes=8 * 2**20)
    with small_volume("automarket-whisper_whisper-cache", "1m") as enlarge:
        async with (
            mesh_with("whisper", short_dir, image=filling) as (running, _),
            automarket.connect(running.address) as mesh,
        ):
            with pytest.raises(ServiceStartFailed) as failed:
                await hear(mesh, sound)
            assert any("No space left on device" in line for line in failed.value.log_lines), failed.value
            enlarge("64m")
            assert is_right(await hear(mesh, sound))


@contextlib.contextmanager
def small_volume(name, size):
    """Give a volume little room, by a file system of its own; give what gives it more."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        missing("docker", "a small volume needs root and mount")
    with client() as docker:
        labels = {"com.docker.compose.project": "automarket-whisper", "com.docker.compose.volume": "whisper-cache"}
        mounted = docker.volumes.create(name, labels=labels).attrs["Mountpoint"]
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", mounted], check=True)
    try:
        yield lambda more: subprocess.run(["mount", "-o", f"remount,size={more}", mounted], check=True)
    finally:
        subprocess.run(["umount", "-l", mounted], check=True)


def engine_takes(engine, image):
    with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saving:
        subprocess.run(["docker", "-H", engine.host, "load"], stdin=saving.stdout, check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.docker
async def test_an_engine_that_is_stopped_is_said_and_one_that_is_back_takes_the_next_call(short_dir, sound):
    require("flite")
    image = await asyncio.to_thread(backend_image, "whisper")
    engine = PrivateEngine(short_dir)
    engine.start()
    try:
        await asyncio.to_thread(engine_takes, engine, image)
        async with (
            mesh_with("whisper", short_dir, "flite", image=image, environment={"DOCKER_HOST": engine.host}) as (
                running,
                _,
            ),
            automarket.connect(running.address) as mesh,
        ):
            assert is_right(await hear(mesh, sound))
            with pytest.raises(AutoMarketError) as ended:
                await hear(mesh, sound, engine.stop)
            assert isinstance(ended.value, BackendFailed | DockerStopped), ended.value
            with pytest.raises(DockerStopped, match="does not answer") as stopped:
                await hear(mesh, sound)
            assert engine.host in stopped.value.hint
            await mesh.transform("good morning", capability="text-to-speech", provider="flite")
            engine.start()
            assert is_right(await hear(mesh, sound))
    finally:
        engine.stop()
        engine.remove()


@pytest.mark.slow
async def test_without_docker_everything_else_works_and_each_command_says_what_mends_it(short_dir):
    require("ffmpeg", "flite", "pocketsphinx")
    nowhere = {"DOCKER_HOST": f"unix://{short_dir}/nowhere.sock"}
    async with (
        mesh_running(short_dir, environment=nowhere) as running,
        automarket.connect(running.address) as mesh,
    ):
        await mesh.transform("good morning", capability="text-to-speech", provider="flite")
        hints = set()
        for command in (
            ("services", "up", "whisper"),
            ("transform", str(TALK), "-c", "speech-to-text", "-p", "whisper"),
        ):
            done = await asyncio.to_thread(running.cli, *command, "--json")
            assert done.returncode == 6, done.stderr
            error = json.loads(done.stderr)["error"]
            assert error["reason"] in {"DOCKER_MISSING", "DOCKER_STOPPED"}
            hints.add(error["hint"])
        (hint,) = hints
        assert hint in (await asyncio.to_thread(running.cli, "doctor")).stdout
