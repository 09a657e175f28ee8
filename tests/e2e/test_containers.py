"""The mesh in containers, as docker-compose.yml runs it, for a client outside."""

from __future__ import annotations

import asyncio
import functools
import os
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import automarket
from automarket.docker_check import compose_command
from tests.support.docker import backend_image, client
from tests.support.mesh import free_port
from tests.support.mesh_image import mesh_image
from tests.support.require import require
from tests.support.words import word_error_rate

ROOT = Path(__file__).resolve().parent.parent.parent
TALK = ROOT / "examples" / "talk.mp4"
WORDS = (ROOT / "examples" / "talk.txt").read_text()
OURS = {"asset-store", "control", "gateway", "pocketsphinx", "flite", "ffmpeg", "whisper-server"}
BACKENDS = ("whisper", "chatterbox", "ollama")
UNPRIVILEGED = "10001"


class Project:
    """A project of Compose, and what Docker has of it."""

    def __init__(self, name, **environment):
        self.name = name
        self._environment = {**os.environ, **environment}

    def compose(self, *arguments):
        command = [*compose_command(), "-p", self.name, "--profile", "whisper", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def containers(self, docker):
        found = docker.containers.list(all=True, filters=self._label)
        return {one.labels["com.docker.compose.service"]: one for one in found}

    def left(self, docker):
        rest = (docker.containers.list(all=True, filters=self._label), docker.networks.list(filters=self._label))
        return [one.name for kind in rest for one in kind]

    def volumes(self, docker):
        return {one.name for one in docker.volumes.list(filters=self._label)}

    @property
    def _label(self):
        return {"label": f"com.docker.compose.project={self.name}"}

    @contextmanager
    def up(self):
        try:
            self.compose("up", "-d", "--no-build")
            yield
        finally:
            self.compose("down", "-v")

    def until_healthy(self, docker, *names, seconds=90):
        until = time.monotonic() + seconds
        while waiting := {
            name: one.attrs["State"].get("Health")
            for name, one in self.containers(docker).items()
            if (not names or name in names) and one.attrs["State"].get("Health", {}).get("Status") != "healthy"
        }:
            assert time.monotonic() < until, waiting
            time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.docker
def test_the_mesh_in_containers_serves_a_client_outside_and_leaves_nothing():
    require("docker-compose")
    port = free_port()
    address = f"127.0.0.1:{port}"
    images = {"AUTOMARKET_IMAGE": mesh_image(), "AUTOMARKET_WHISPER_IMAGE": backend_image("whisper")}
    ports = {"AUTOMARKET_PORT": str(port), "AUTOMARKET_WHISPER_PORT": str(free_port())}
    project = Project(f"automarket-e2e-{port}", **images, **ports)
    with client() as docker:
        with project.up():
            project.until_healthy(docker)
            assert project.containers(docker).keys() == OURS | {"whisper"}
            for name in OURS:
                keeps_its_place(project.containers(docker)[name])
            asyncio.run(whisper_and_the_others_answer(address))
            survives_the_end_of_a_process(project, docker, address)
            project.compose("down")
            assert project.left(docker) == []
            assert f"{project.name}_data" in project.volumes(docker), "down alone keeps the assets"
        assert project.left(docker) == []
        assert project.volumes(docker) == set()


def keeps_its_place(container):
    """Check that a container's processes have no rights and nothing to write to but their volumes."""
    processes = container.top(ps_args="-eo uid,pid,args")["Processes"]
    assert processes
    assert {uid for uid, *_ in processes} == {UNPRIVILEGED}, processes
    assert container.exec_run(["sh", "-c", "echo > /opt/mesh/written"], user="0").exit_code != 0
    host = container.attrs["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0
    assert not any("docker.sock" in mount["Source"] for mount in container.attrs["Mounts"])
    published = [one for bindings in host["PortBindings"].values() for one in bindings]
    assert all(one["HostIp"] == "127.0.0.1" for one in published)


async def whisper_and_the_others_answer(address):
    async with automarket.connect(address) as mesh:
        heard = await mesh.transform(TALK, capability="speech-to-text", provider="whisper")
        assert word_error_rate(WORDS, heard.content) < 0.25, heard.content
        speech = await mesh.transform("one two three four five", capability="text-to-speech")
        again = await mesh.transform(speech, capability="speech-to-text", provider="pocketsphinx")
        assert word_error_rate("one two three four five", again.content) <= 0.4
        pictures = await mesh.transform(TALK, capability="video-to-image", count=2)
        assert len(pictures) == 2


def survives_the_end_of_a_process(project, docker, address):
    """Kill a provider server in its container: it is started again, joins the mesh and works."""
    container = project.containers(docker)["flite"]
    [pid] = [pid for _, pid, args in container.top(ps_args="-eo uid,pid,args")["Processes"] if "python" in args]
    before = container.attrs["State"]["StartedAt"]
    os.kill(int(pid), 9)
    until = time.monotonic() + 30
    while docker.api.inspect_container(container.id)["State"]["StartedAt"] == before:
        assert time.monotonic() < until, "it was not started again"
        time.sleep(0.1)
    project.until_healthy(docker, "flite", seconds=30)

    async def speak():
        async with automarket.connect(address) as mesh:
            return await mesh.transform("good morning", capability="text-to-speech", provider="flite")

    assert asyncio.run(speak()).can_play(automarket.Role.SPEECH)


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("gpu", [False, True], ids=["cpu", "gpu"])
def test_a_backend_in_the_mesh_is_what_its_own_files_say(name, gpu):
    require("docker-compose")
    files = ["docker-compose.yml", *(["docker-compose.gpu.yml"] if gpu else [])]
    there, own = (configured(folder, *files)["services"][name] for folder in (ROOT, ROOT / "services" / name))
    there, own = dict(there), dict(own)
    assert (there.pop("restart"), own.pop("restart")) == ("unless-stopped", "no")
    del there["profiles"]
    assert there == own


@functools.cache
def configured(folder, *files):
    """Give what Compose makes of files."""
    import yaml

    chosen = [part for file in files for part in ("-f", str(folder / file))]
    command = [*compose_command(), "-p", "same", *chosen, "--profile", "all", "config"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AUTOMARKET_")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return yaml.safe_load(done.stdout)
