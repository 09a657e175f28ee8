"""The backends of the tests as processes on this host, and what backends say of themselves in their logs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.engine import client
from tests.support.mesh import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

_ROOT = Path(__file__).resolve().parent.parent.parent
Note = dict[str, Any]
"""One line of a backend's log, see `tests.backends.common.note`."""


@dataclass
class HostBackend:
    """A backend that runs on this host."""

    name: str
    port: int
    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    """What it wrote, stdout and stderr."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def notes(self, event: str = "", path: str = "") -> list[Note]:
        """Give the lines of its log, all or those of an event and of paths that start so."""
        return notes_in(self.lines, event, path)

    async def misbehave(self, **faults: object) -> None:
        """Change what goes wrong, see `tests.backends.common.Faults`; with nothing named, all is well again."""
        await set_faults(self.url, **faults)

    async def kill(self) -> None:
        """End it as the kernel does when memory is out."""
        self.process.kill()
        await self.process.wait()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode(errors="replace").rstrip())


@asynccontextmanager
async def serving_backend(
    name: str, *, wait: bool = True, port: int = 0, **faults: object
) -> AsyncGenerator[HostBackend]:
    """Run `tests/backends/<name>/app.py` on a free port; without `wait` it may still be starting."""
    port = port or free_port()
    command = [sys.executable, "-m", f"tests.backends.{name}.app", "--port", str(port)]
    environment = {**os.environ, "TEST_FAULTS": json.dumps(faults)}
    pipes = {
        "stdin": asyncio.subprocess.DEVNULL,
        "stdout": asyncio.subprocess.PIPE,
        "stderr": asyncio.subprocess.STDOUT,
    }
    process = await asyncio.create_subprocess_exec(*command, **pipes, env=environment, cwd=_ROOT)
    backend = HostBackend(name, port, process)
    reading = asyncio.create_task(backend._read())
    try:
        if wait:
            await _listening(backend)
        yield backend
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


async def _listening(backend: HostBackend) -> None:
    async with asyncio.timeout(60):
        while backend.process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", backend.port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                await writer.wait_closed()
                return
    raise AssertionError("\n".join(["the backend ended at its start:", *backend.lines]))


async def set_faults(url: str, **faults: object) -> None:
    """Tell the backend at `url` what goes wrong from now on."""
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{url}/test/faults", json=faults)
        assert answer.status_code == 200, answer.text


def container_notes(name: str, event: str = "", path: str = "") -> list[Note]:
    """Give what the containers of a backend, running or not, said in their logs: see `HostBackend.notes`."""
    with client() as docker:
        found = docker.containers.list(all=True, filters={"label": f"automarket.backend={name}"})
        lines = [line for one in found for line in one.logs().decode(errors="replace").splitlines()]
    return notes_in(lines, event, path)


def notes_in(lines: Iterable[str], event: str = "", path: str = "") -> list[Note]:
    """Give the notes among the lines of a log."""
    notes = [json.loads(line) for line in lines if line.startswith('{"at"')]
    return [
        one for one in notes if event in {"", one["event"]} and (not path or str(one.get("path", "")).startswith(path))
    ]
