"""A mesh that `automarket up` runs, and the command line against it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.mesh import processes, processes_below, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

AUTOMARKET = (sys.executable, "-P", "-m", "automarket")


@dataclass(slots=True)
class Up:
    """A running `automarket up --json`."""

    process: subprocess.Popen[str]
    data_dir: Path
    ready: dict[str, Any]

    @property
    def address(self) -> str:
        return self.ready["address"]

    def next_event(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "automarket up ended"
        return json.loads(line)

    def until(self, event: str, **facts: Any) -> dict[str, Any]:
        while True:
            seen = self.next_event()
            if seen["event"] == event and facts.items() <= seen.items():
                return seen

    def below(self) -> set[int]:
        """Give the processes of this mesh."""
        return set(processes_below(self.process.pid))


@contextmanager
def up(data_dir: Path, *arguments: str) -> Iterator[Up]:
    """Start a mesh on a free port and wait until it is ready; in the end stop it and see that nothing is left."""
    command = [*AUTOMARKET, "up", "--json", "--port", "0", "--data-dir", str(data_dir), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            running = Up(process, data_dir, {})
            running.ready = _until_ready(process)
            yield running
            if process.poll() is None:
                below = running.below()
                process.send_signal(signal.SIGINT)
                assert process.wait(20) == 0, process.stderr.read()
                wait_until(lambda: not below & processes().keys(), 2, "all processes ended")
        finally:
            process.kill()


def _until_ready(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    assert process.stderr is not None
    while line := process.stdout.readline():
        event = json.loads(line)
        if event["event"] == "ready":
            return event
    raise AssertionError(process.stderr.read())


@pytest.fixture(scope="session")
def mesh() -> Iterator[Up]:
    """Give a mesh with all providers, shared by the tests of this folder."""
    data_dir = Path(tempfile.mkdtemp(prefix="am-"))
    with up(data_dir) as running:
        yield running
    shutil.rmtree(data_dir)


@dataclass(frozen=True, slots=True)
class Cli:
    """Runs commands against a mesh, not on a terminal."""

    address: str
    folder: Path

    def __call__(self, *arguments: str, stdin: bytes = b"", code: int = 0) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "AUTOMARKET_ADDRESS": self.address, "TERM": "xterm"}
        result = subprocess.run(
            [*AUTOMARKET, *arguments], cwd=self.folder, env=environment, input=stdin, capture_output=True, check=False
        )
        decoded = subprocess.CompletedProcess(
            result.args, result.returncode, result.stdout.decode(errors="replace"), result.stderr.decode()
        )
        assert decoded.returncode == code, f"{arguments}: {decoded}"
        return decoded

    def json(self, *arguments: str, stdin: bytes = b"") -> Any:
        return json.loads(self(*arguments, "--json", stdin=stdin).stdout)

    def error(self, *arguments: str, code: int, stdin: bytes = b"") -> dict[str, Any]:
        """Run a command that fails; give what it says in JSON."""
        result = self(*arguments, "--json", code=code, stdin=stdin)
        assert result.stdout == ""
        return json.loads(result.stderr)["error"]


@pytest.fixture
def cli(mesh: Up, tmp_path: Path) -> Cli:
    """Give the command line, in a new folder, against the shared mesh."""
    return Cli(mesh.address, tmp_path)


@pytest.fixture
def alone(tmp_path: Path) -> Cli:
    """Give the command line where no mesh runs."""
    return Cli("127.0.0.1:1", tmp_path)
