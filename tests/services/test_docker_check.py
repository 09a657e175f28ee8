"""Whether Docker can be used: each lack has its class and the command that mends it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from automarket.docker_check import check_docker, compose_command
from automarket.errors import ComposeMissing, DockerDenied, DockerMissing, DockerStopped
from automarket.service_status import ServiceState
from services.runtime import BackendSettings, BackendSpec, DockerComposeService, OnDemand

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be a machine with no program at all, and no engine."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    return tmp_path


def program(folder: Path, name: str, script: str = "exit 0") -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_no_docker_at_all(nothing: Path):
    with pytest.raises(DockerMissing) as caught:
        check_docker()
    assert "docker" in (caught.value.hint or "")


def test_docker_that_is_installed_and_not_running(nothing: Path):
    program(nothing, "docker")
    with pytest.raises(DockerStopped, match=r"docker\.sock") as caught:
        check_docker()
    assert caught.value.hint


def test_the_usual_socket_has_a_hint_with_a_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    program(tmp_path, "docker")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr("automarket.docker_check.DEFAULT_SOCKET", str(tmp_path / "docker.sock"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with pytest.raises(DockerStopped) as caught:
        check_docker()
    assert caught.value.hint in ("systemctl start docker", "start Docker Desktop")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"], ids=["none", "a fault"])
def test_an_engine_that_hangs_or_fails_is_as_good_as_stopped(short_dir: Path, nothing: Path, monkeypatch, answer):
    program(nothing, "docker")
    path = short_dir / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.sendall(answer)
            if not answer:
                time.sleep(2)
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        before = time.monotonic()
        with pytest.raises(DockerStopped):
            check_docker()
        assert time.monotonic() - before < 1.9
        thread.join()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_user_without_permission_is_told_how_to_get_it(short_dir: Path):
    path = short_dir / "docker.sock"
    short_dir.chmod(0o755)
    code = """if True:
        import os, sys
        from automarket.docker_check import check_docker
        from automarket.errors import DockerDenied
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        try:
            check_docker()
        except DockerDenied as error:
            sys.exit(error.hint)
    """
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        path.chmod(0o600)
        environment = {**os.environ, "DOCKER_HOST": f"unix://{path}", "USER": "nobody", "LOGNAME": "nobody"}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
    assert done.stderr.strip() == "usermod -aG docker nobody, then log in again"
    assert DockerDenied.reason == "DOCKER_DENIED"


def test_compose_as_a_plugin_comes_first_then_the_program_of_its_own(nothing: Path):
    program(nothing, "docker", "exit 0")
    program(nothing, "docker-compose")
    assert compose_command() == ["docker", "compose"]
    program(nothing, "docker", "exit 1")
    assert compose_command() == ["docker-compose"]
    (nothing / "docker-compose").unlink()
    with pytest.raises(ComposeMissing) as caught:
        compose_command()
    assert caught.value.hint


async def test_a_call_without_docker_ends_at_once_with_what_mends_it(nothing: Path):
    settings = BackendSettings(state_dir=nothing / "state")
    spec = BackendSpec("toy", nothing, 8000, 30.0)

    async def is_ready(url: str) -> bool:
        return False

    (nothing / "docker-compose.yml").write_text("services: {toy: {image: none}}\n")
    service = DockerComposeService(spec, settings, is_ready=is_ready)
    on_demand = OnDemand(service, settings)
    await on_demand.open()
    async with on_demand.lease() as lease:
        before = time.monotonic()
        with pytest.raises(DockerMissing) as caught:
            async for _ in lease.ready():
                pass
        assert time.monotonic() - before < 2
    assert caught.value.hint
    status = await on_demand.status()
    assert status.state == ServiceState.FAILED
    assert status.error == "Docker is not installed"
    assert status.hint == caught.value.hint
    assert not (await on_demand.stop()).running
    await on_demand.close()


@pytest.mark.slow
@pytest.mark.docker
async def test_a_call_without_compose_says_so(toys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "bin").mkdir()
    service = toys.service()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ComposeMissing):
        async for _ in service.start():
            pass
    await service.close()
