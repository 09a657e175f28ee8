"""The stand-in as a process that many tests use one after the other."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.backends import notes_in
from tests.support.mesh import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent.parent.parent


class Backend:
    """A stand-in; its notes are those of the present test."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self.log = log
        self._read = 0

    def begin(self) -> None:
        self.misbehave()
        self._read = self.log.stat().st_size

    def misbehave(self, **faults: object) -> None:
        httpx.post(f"{self.url}/test/faults", json=faults, trust_env=False, timeout=60).raise_for_status()

    def notes(self, event: str = "", path: str = "/") -> list[dict[str, Any]]:
        return notes_in(self.log.read_text()[self._read :].splitlines(), event, path)

    def requests(self) -> int:
        """Give how many transcriptions were asked for."""
        return len(self.notes("begin", "/asr"))


@contextmanager
def running_whisper(folder: Path) -> Iterator[Backend]:
    """Run one; its log is in `folder`."""
    log, port = folder / "log", free_port()
    command = [sys.executable, "-m", "tests.backends.whisper.app", "--port", str(port)]
    with log.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file, cwd=ROOT) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url, process, log)
            yield Backend(url, log)
        finally:
            process.kill()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(1200):
        try:
            httpx.get(f"{url}/openapi.json", trust_env=False)
        except httpx.TransportError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text())
