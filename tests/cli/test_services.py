"""Backends on the command line: started, stopped, watched."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys

import pytest

from automarket.cli.progress import LiveProgress
from automarket.cli.services_view import ServicesView
from automarket.cli.terminal import Terminal
from automarket.service_status import ServiceState, ServiceStatus
from provider_servers.runtime.descriptors import models_to_proto
from provider_servers.runtime.testing import serving
from tests.cli.conftest import AUTOMARKET, Cli, up
from tests.cli.test_terminal import plain
from tests.support.backed import FAILED, LINES, READY, Backed
from tests.support.gateway import Here, until_true
from tests.support.toy import Clock

pytestmark = pytest.mark.slow

DOCKERLESS = {"reason": "Docker is not installed", "hint": "apt install docker.io", "error_reason": "DOCKER_MISSING"}


@pytest.fixture
def provider():
    return Backed()


@pytest.fixture
async def cli(short_dir, tmp_path, provider):
    """Give the command line, to be awaited, against a mesh with a backend that a test plays, and one without Docker."""
    here = Here(short_dir)
    known = short_dir / "known.json"
    boxed = {"id": "boxed", "kind": "local", "available": False, **DOCKERLESS}
    known.write_text(json.dumps([boxed]))
    async with (
        here.running(known_providers=known) as channel,
        serving(provider, here.control),
        serving(Clock(), here.control),
    ):
        command = Awaited(Cli(here.public, tmp_path))
        await until_true(command.is_complete, 30, "all are there")
        yield command
    del channel


class Awaited:
    """Runs commands while this test's loop serves the mesh."""

    def __init__(self, cli):
        self.cli = cli

    async def __call__(self, *arguments, code=0):
        return await asyncio.to_thread(self.cli, *arguments, code=code)

    async def json(self, *arguments):
        return await asyncio.to_thread(self.cli.json, *arguments)

    async def error(self, *arguments, code):
        result = await self(*arguments, "--json", code=code)
        return json.loads(result.stderr)["error"]

    async def is_complete(self):
        services = await self.json("services", "ls")
        listed = {one["id"] for one in await self.json("providers")}
        return len(services) == 2 and {"backed", "boxed", "clock"} <= listed

    async def terminal(self, *arguments):
        """Run a command on a terminal of its own; give what it wrote there."""
        return await asyncio.to_thread(_on_a_terminal, self.cli, arguments)


def _on_a_terminal(cli, arguments):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "AUTOMARKET_ADDRESS": cli.address, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen([*AUTOMARKET, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # the terminal is gone when nobody has it open any more
        while piece := os.read(ours, 65536):
            written += piece
    os.close(ours)
    assert process.wait(10) == 0, written
    return plain(written.decode())


async def test_backends_are_listed_with_those_that_cannot_run_here(cli, provider):
    lines = (await cli("services", "ls")).stdout.splitlines()
    assert re.match(r"backed +stopped +no +the mesh +the box is stopped", lines[1]), lines
    assert re.match(r"boxed +cannot run +no +Docker is not installed \(apt install docker.io\)", lines[2]), lines
    assert len(lines) == 3, "clock has no backend"
    provider.backend.become(FAILED)
    await until_true(lambda: shows(cli, "services", "ls", word="the box ran out of memory (give it more"))
    backed, boxed = await cli.json("services", "ls")
    assert (backed["provider_id"], backed["status"]["state"], backed["status"]["exit_code"]) == (
        "backed",
        "failed",
        137,
    )
    assert (boxed["provider_id"], boxed["availability"]["error_reason"]) == ("boxed", "DOCKER_MISSING")


async def shows(cli, *arguments, word):
    return word in (await cli(*arguments)).stdout


async def test_status_and_providers_show_the_state_of_a_backend(cli, provider):
    provider.backend.become(READY)
    await until_true(lambda: shows(cli, "services", "ls", word="the box is ready"))
    for command in ("status", "providers"):
        lines = (await cli(command)).stdout.splitlines()
        heading = next(line for line in lines if line.startswith("provider"))
        assert "backend" in heading
        [backed] = [line for line in lines if line.startswith("backed")]
        assert " ready " in backed
        assert "available" in backed
    found = await cli.json("providers")
    by_id = {one["id"]: one for one in found}
    assert [one["status"]["state"] for one in by_id["backed"]["services"]] == ["ready"]
    assert by_id["clock"]["services"] == []
    assert {one["id"] for one in await cli.json("providers", "--available")} == {"backed", "clock"}


async def test_up_prints_a_line_for_each_state_where_nobody_watches(cli, provider):
    provider.backend.step = 0.1
    lines = (await cli("services", "up", "box")).stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == ["box"] * len(lines)
    assert [line.split()[1] for line in lines] == ["pulling", "starting", "loading", "ready"]
    assert lines[0] == "box: pulling   pulling image 25 %"
    assert (await cli("services", "up", "backed")).stdout == "backed: ready     the box is ready\n"
    assert provider.backend.starts == 1


async def test_up_in_json_is_an_object_a_line(cli):
    lines = (await cli("services", "up", "backed", "--json")).stdout.splitlines()
    states = [json.loads(line) for line in lines]
    assert [one["state"] for one in states] == ["pulling", "pulling", "starting", "loading", "ready"]
    assert {one["provider"] for one in states} == {"backed"}
    assert states[1]["fraction"] == 0.75


async def test_up_draws_how_far_it_is_on_a_terminal(cli, provider):
    provider.backend.step = 0.5
    written = await cli.terminal("services", "up", "backed")
    assert "backed: pulling" in written
    assert "pulling image 75 %" in written
    assert "backed: loading" in written
    assert "\nbacked: ready     the box is ready\n" in written


async def test_what_fails_to_start_says_why_with_its_last_words(cli, provider):
    provider.backend.fails = True
    result = await cli("services", "up", "backed", code=7)
    assert "line 39" in result.stderr
    assert "error: the box ran out of memory\n  try: give it more: AUTOMARKET_BOX_MEMORY" in result.stderr
    error = await cli.error("services", "up", "backed", code=7)
    assert (error["reason"], error["metadata"]["exit_code"]) == ("SERVICE_START_FAILED", "137")
    assert error["log_lines"] == list(LINES[-20:])


async def test_what_cannot_be_started_has_its_exit_code(cli, provider):
    assert (await cli.error("services", "up", "boxed", code=6))["reason"] == "DOCKER_MISSING"
    provider.backend.lacks = "DOCKER_STOPPED"
    result = await cli("services", "up", "backed", code=6)
    assert result.stderr == "error: Docker's engine does not answer\n  try: systemctl start docker\n"
    for command in ("up", "down", "status", "logs"):
        assert (await cli.error("services", command, "nobodys", code=4))["reason"] == "PROVIDER_UNKNOWN"
    provider.backend.lacks, provider.backend.step = "", 3.0
    result = await cli("services", "up", "backed", "--timeout", "0.5", code=1)
    assert "was not ready within 0.5 s: pulling image 25 %" in result.stderr


async def test_one_that_fails_does_not_keep_the_others_from_starting(cli, provider):
    result = await cli("services", "up", "boxed", "backed", code=6)
    assert "backed: ready" in result.stdout
    assert "Docker is not installed" in result.stderr


async def test_down_stops_and_says_what_goes_on(cli, provider):
    await cli("services", "up", "backed")
    assert (await cli("services", "down", "backed")).stdout == "backed: the box is stopped\n"
    assert (await cli.json("services", "down", "backed"))["backed"]["state"] == "stopped"

    async def stop_not_ours():
        return ServiceStatus(ServiceState.READY, managed=False)

    async def stop_in_use():
        return ServiceStatus(ServiceState.BUSY, message="the box is in use: it was not stopped", managed=True)

    provider.backend.stop = stop_not_ours
    assert "the mesh did not start it" in (await cli("services", "down", "backed")).stdout
    provider.backend.stop = stop_in_use
    assert "in use" in (await cli("services", "down", "backed", code=7)).stdout


async def test_a_status_says_all_that_is_known(cli, provider):
    provider.backend.become(FAILED)
    written = (await cli("services", "status", "box")).stdout
    assert re.search(r"state +failed", written)
    assert re.search(r"ended with +exit code 137, out of memory", written)
    assert re.search(r"try +give it more", written)
    assert "line 39" in written
    status = await cli.json("services", "status", "backed")
    assert (status["state"], status["exit_code"], status["managed"]) == ("failed", 137, True)
    assert len(status["instances"]) == 1


async def test_logs_are_the_last_lines(cli):
    assert (await cli("services", "logs", "backed", "-n", "3")).stdout.splitlines() == list(LINES[-3:])
    assert (await cli("services", "logs", "backed")).stdout.splitlines() == list(LINES)
    [lines] = (await cli.json("services", "logs", "backed", "-n", "2")).values()
    assert lines == list(LINES[-2:])
    await cli("services", "logs", "backed", "-n", "1001", code=2)


async def test_a_watch_prints_what_becomes_of_a_backend_until_ctrl_c(cli, provider):
    command = [sys.executable, "-P", "-m", "automarket", "services", "watch", "--address", cli.cli.address]
    watch = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert (await watch.stdout.readline()).decode() == "backed: stopped   the box is stopped\n"
    provider.backend.step = 0.2
    await asyncio.gather(cli("services", "up", "backed"))
    seen = [(await watch.stdout.readline()).decode().split()[1] for _ in range(4)]
    assert seen == ["pulling", "starting", "loading", "ready"]
    watch.send_signal(signal.SIGINT)
    assert await watch.wait() == 130


async def test_a_transform_draws_what_it_waits_for(cli, provider):
    provider.backend.step = 0.5
    written = await cli.terminal("transform", "hello", "-p", "backed")
    for words in ("pulling image 75 %", "starting", "loading the model", "HELLO"):
        assert words in written, words
    assert re.search(r"time +queued 0.00 s, starting \d", written), written
    assert (await cli("transform", "hello", "-p", "backed", "-q")).stdout == "HELLO\n"


async def test_models_that_cannot_run_here_are_shown_as_such(short_dir, tmp_path):
    here, known = Here(short_dir), short_dir / "known.json"
    models = [{"id": one.id, "capabilities": [{"name": "text-to-text"}]} for one in models_to_proto(Backed())]
    known.write_text(json.dumps([{"id": "b", "kind": "local", "available": False, **DOCKERLESS, "models": models}]))
    async with here.running(known_providers=known):
        cli = Awaited(Cli(here.public, tmp_path))
        await until_true(lambda: shows(cli, "models", word="not available: Docker is not installed (apt install"))
        assert await cli.json("models", "--available") == []
        assert "no provider of this mesh" not in (await cli("services", "ls")).stderr


async def test_a_mesh_without_backends_says_so(short_dir, tmp_path):
    here = Here(short_dir)
    async with here.running():
        cli = Awaited(Cli(here.public, tmp_path))

        async def says_so():
            return "no provider of this mesh has a backend" in (await cli("services", "ls")).stderr

        await until_true(says_so)
        assert await cli.json("services", "ls") == []


def test_a_bar_forgets_how_far_it_was_when_that_is_not_known_any_more():
    with LiveProgress(Terminal(as_json=False).out) as progress:
        for fraction, total in ((0.5, 1), (None, None), (0.25, 1), (None, None)):
            progress.work("x", "work", fraction)
            progress.work("y", "other", 0.5)
            first, second = progress._progress.tasks
            assert (first.total, second.total) == (total, 1)


def test_a_state_that_lasts_is_told_again_now_and_then(monkeypatch, capsys):
    clock = [100.0]
    monkeypatch.setattr("automarket.cli.services_view.time.monotonic", lambda: clock[0])
    with ServicesView(Terminal(as_json=False)) as view:
        for percent in range(100):
            view.show("x", ServiceStatus(ServiceState.PULLING, message=f"{percent} %"))
            clock[0] += 0.5
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()] == [str(n) for n in range(0, 100, 10)]


def test_without_docker_each_command_says_what_mends_it_and_the_rest_works(short_dir, tmp_path, monkeypatch, media):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{short_dir}/nobody.sock")
    with up(short_dir / "data", "--provider", "ffmpeg") as running:
        cli = Cli(running.address, tmp_path)
        doctor = {check["name"]: check for check in cli.json("doctor")}["docker"]
        wav = str(media.speech_wav())
        for command in (
            ("transform", wav, "-p", "whisper"),
            ("transform", wav, "-p", "whisper-docker", "-c", "speech-to-text"),
            ("transform", wav, "-m", "whisper-stt"),
            ("transform", "hello", wav, "-c", "voice-cloning", "-p", "chatterbox"),
            ("transform", "hello", "-p", "chatterbox"),
            ("services", "up", "whisper"),
            ("services", "up", "chatterbox"),
            ("services", "status", "ollama"),
        ):
            error = cli.error(*command, code=6)
            assert error["reason"] in ("DOCKER_STOPPED", "DOCKER_MISSING")
            assert error["code"] == "FAILED_PRECONDITION"
            assert error["message"].endswith(doctor["found"]), error
            assert error["hint"] == doctor["hint"]
        both = cli.error("transform", "hello", wav, "-c", "voice-cloning", code=6)
        assert both["message"].endswith(
            f"{doctor['found']}; elevenlabs cannot take work: ELEVENLABS_API_KEY is not set"
        )
        assert both["hint"].startswith(f"{doctor['hint']}; or set ELEVENLABS_API_KEY to a key of https://")
        listed = {one["provider_id"] for one in cli.json("services", "ls") if "availability" in one}
        assert {"whisper", "chatterbox", "ollama"} <= listed
        assert "cannot take work" not in cli("providers").stdout
        cli("transform", wav, "-p", "ffmpeg", "-c", "audio-to-audio", "-o", "out.mp3")
        assert (tmp_path / "out.mp3").stat().st_size > 1000
