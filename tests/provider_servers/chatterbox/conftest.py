"""The stand-in for Chatterbox on this host, and a provider that uses it."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from provider_servers.chatterbox import ChatterboxProvider
from services.chatterbox import ChatterboxSettings
from tests.provider_servers.calls import calling
from tests.support.docker import notes_in, serving_backend
from tests.support.mesh import free_port
from tests.support.require import require

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent.parent.parent


@pytest.fixture
async def server():
    """Run the stand-in for one test."""
    require("flite")
    async with serving_backend("chatterbox") as backend:
        yield backend


class Shared:
    """A stand-in that many tests use one after the other; its notes are those of the present test."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self._log = log
        self._read = 0

    def begin(self) -> None:
        self._read = self._log.stat().st_size

    def notes(self, event: str = "", path: str = "") -> list[dict[str, Any]]:
        return notes_in(self._log.read_text()[self._read :].splitlines(), event, path)

    def texts(self) -> list[str]:
        return [note["text"] for note in self.notes("speak")]


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Shared]:
    """Run the stand-in for all tests of a module."""
    require("flite")
    log, port = tmp_path_factory.mktemp("chatterbox") / "log", free_port()
    command = [sys.executable, "-m", "tests.backends.chatterbox.app", "--port", str(port)]
    with log.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file, cwd=ROOT) as process:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                httpx.get(f"{url}/api/model-info", trust_env=False)
                break
            except httpx.TransportError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
        yield Shared(url, log)
        process.kill()


@pytest.fixture
def shared(running) -> Shared:
    running.begin()
    return running


@pytest.fixture
def provider_at(short_dir: Path) -> Callable[[str], ChatterboxProvider]:
    """Give what makes a provider that uses the server at a URL."""

    def made(url: str) -> ChatterboxProvider:
        return ChatterboxProvider(ChatterboxSettings(base_url=url, state_dir=short_dir, start_seconds=20))

    return made


@pytest.fixture
async def chatterbox(shared, provider_at) -> AsyncIterator[Any]:
    """Give what calls a provider that uses the shared stand-in."""
    async with calling(provider_at(shared.url)) as call:
        yield call


@pytest.fixture
def starting(monkeypatch, provider_at):
    """Give what runs a stand-in as told by its environment, with a provider that uses it."""
    require("flite")

    @asynccontextmanager
    async def start(port: int = 0, **environment: object):
        for name, value in environment.items():
            monkeypatch.setenv(name, str(value))
        async with serving_backend("chatterbox", port=port) as backend, calling(provider_at(backend.url)) as call:
            yield backend, call

    return start


@pytest.fixture
def voice_of(tmp_path) -> Callable[..., Path]:
    """Give what makes a sample: a voice of a pitch in Hz that speaks so many words."""
    require("flite")

    def made(pitch: int, words: int = 24) -> Path:
        text = " ".join(["this is a sample of my own voice today"] * (words // 8 + 1)).split()[:words]
        path = tmp_path / f"voice-{pitch}-{words}.wav"
        manner = ("-voice", "slt", "--setf", f"int_f0_target_mean={pitch}")
        subprocess.run(("flite", *manner, "-t", " ".join(text), "-o", str(path)), check=True)
        return path

    return made
