"""Docker's engine for tests: found, or started as root where none answers, and left running."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

LOG = Path(__file__).resolve().parent.parent.parent / ".cache" / "docker-tests" / "dockerd.log"
_PID_FILE = Path("/var/run/docker.pid")
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


@contextmanager
def client() -> Iterator[DockerClient]:
    """Give a client of the engine that the environment names."""
    import docker

    connected = docker.from_env(timeout=60)
    try:
        yield connected
    finally:
        connected.close()


def engine_answers() -> bool:
    """Tell whether an engine answers now."""
    import docker
    import requests

    if not _is_listening():
        return False
    try:
        with client() as connected:
            return bool(connected.ping())
    except (docker.errors.DockerException, requests.RequestException, OSError):
        return False


def _is_listening() -> bool:
    """Tell whether somebody listens at the engine's socket: the SDK leaves one open that it cannot use."""
    kind, _, path = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").partition("://")
    if kind != "unix":
        return True
    with socket.socket(socket.AF_UNIX) as found:
        return found.connect_ex(path) == 0


def can_start_engine() -> bool:
    """Tell whether `start_engine` can do anything here."""
    path = os.environ.get("PATH", os.defpath) + ":" + _SBIN
    return os.geteuid() == 0 and "DOCKER_HOST" not in os.environ and shutil.which("dockerd", path=path) is not None


def start_engine(timeout: float = 60) -> None:
    """Start an engine that outlives this process and wait until it answers; does nothing where one answers.

    Raises:
        RuntimeError: it does not answer in time; the last lines of its log are in the message.
    """
    with machine_lock("engine"):
        if engine_answers():
            return
        LOG.parent.mkdir(parents=True, exist_ok=True)
        _forget_killed_engine()
        environment = {**os.environ, "PATH": os.environ.get("PATH", os.defpath) + ":" + _SBIN}
        # The shell's end makes the engine nobody's child: no zombie, and nothing of the test's is held open.
        command = f"exec setsid dockerd >>'{LOG}' 2>&1 </dev/null &"
        subprocess.run(["sh", "-c", command], check=True, env=environment, cwd="/")
        deadline = time.monotonic() + timeout
        while not engine_answers():
            if time.monotonic() > deadline:
                last = "\n".join(LOG.read_text(errors="replace").splitlines()[-10:])
                raise RuntimeError(f"dockerd gave no answer within {timeout:.0f} s:\n{last}")
            time.sleep(0.1)


def _forget_killed_engine() -> None:
    """Remove the number that an engine left which was killed: it may be another process's by now."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(_PID_FILE.read_text())
        if Path(f"/proc/{pid}/comm").exists() and Path(f"/proc/{pid}/comm").read_text().strip() != "dockerd":
            _PID_FILE.unlink()


def stop_engine(timeout: float = 60) -> None:
    """Stop the engine with all its containers, as `systemctl stop docker` does.

    Raises:
        RuntimeError: it goes on running.
    """
    pid = int(_PID_FILE.read_text())
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while _runs(pid):
        if time.monotonic() > deadline:
            raise RuntimeError(f"dockerd (process {pid}) did not end within {timeout:.0f} s")
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
    except OSError:
        return False


@contextmanager
def machine_lock(name: str) -> Iterator[None]:
    """Hold a lock that all tests on this machine share, whatever clone they run from: they share one engine."""
    folder = Path(tempfile.gettempdir()) / f"automarket-tests-{os.geteuid()}"
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
