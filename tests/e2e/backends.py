"""A mesh as a user starts it, with backends in Docker: images of the tests, ports and locks of its own."""

from __future__ import annotations

import asyncio
import subprocess
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.docker import backend_image, client
from tests.support.mesh import RunningMesh, free_port, mesh_running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
TALK, WORDS = EXAMPLES / "talk.mp4", (EXAMPLES / "talk.txt").read_text()
ROUNDS = [pytest.param(3, id="3 times"), pytest.param(10, id="10 times", marks=pytest.mark.soak)]


@asynccontextmanager
async def mesh_with(
    backend: str, folder: Path, *others: str, image: str = "", environment: dict[str, str] | None = None, **settings
) -> AsyncIterator[tuple[RunningMesh, str]]:
    """Run a mesh with a backend's provider and others; give it, and the URL that the backend will have.

    Args:
        backend: its name.
        folder: a short path for everything.
        others: further providers.
        image: another image than the usual one of the tests.
        environment: further variables of the mesh's environment.
        settings: of the backend, by name.
    """
    settings = {"port": free_port(), "state_dir": folder / "locks"} | settings
    settings["image"] = image or await asyncio.to_thread(backend_image, backend)
    named = {f"AUTOMARKET_{backend.upper()}_{name.upper()}": str(value) for name, value in settings.items()}
    async with mesh_running(folder, backend, *others, environment=named | (environment or {})) as running:
        yield running, f"http://127.0.0.1:{settings['port']}"


def containers(backend: str) -> list[str]:
    """Give the ids of the containers of a backend that run."""
    with client() as docker:
        return [one.id for one in docker.containers.list(filters={"label": f"automarket.backend={backend}"})]


def to_container(backend: str, do: Callable[..., object]) -> None:
    """Do something to the one container of a backend that runs."""
    with client() as docker:
        (one,) = docker.containers.list(filters={"label": f"automarket.backend={backend}"})
        do(one)


async def eventually(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until a condition holds that asks Docker."""
    until = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < until, what
        await asyncio.sleep(0.1)


def spoken(path: Path, text: str, pitch: int = 0) -> Path:
    """Write a WAV (16 kHz, mono) in which somebody says a text, with a voice of a pitch in Hz when one is given."""
    manner = ("-voice", "slt", "--setf", f"int_f0_target_mean={pitch}") if pitch else ("-voice", "rms")
    subprocess.run(("flite", *manner, "-t", text, "-o", str(path)), check=True)
    return path
