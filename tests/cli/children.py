"""Small real programs to supervise."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from automarket.cli.up.child import ChildEvent, ChildSpec, ChildState, Surroundings

if TYPE_CHECKING:
    from pathlib import Path


def shell(folder: Path, name: str, script: str) -> ChildSpec:
    """Give a child that runs a shell script; it takes work as soon as it has made the file NAME.ready."""

    async def ready(pid: int) -> None:
        while not (folder / f"{name}.ready").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    return ChildSpec(name, ("sh", "-c", script), ready)


def surroundings(folder: Path, *descriptors: int, **environment: str) -> Surroundings:
    return Surroundings({"PATH": "/usr/bin:/bin", **environment}, folder, folder, descriptors)


def python(script: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-c", script)


class Journal:
    """Keeps what is reported, and waits for it."""

    def __init__(self) -> None:
        self.events: list[ChildEvent] = []

    def __call__(self, event: ChildEvent) -> None:
        self.events.append(event)

    def states(self, name: str) -> list[ChildState]:
        return [event.state for event in self.events if event.name == name]

    async def until(self, name: str, state: ChildState, count: int = 1) -> ChildEvent:
        async with asyncio.timeout(10):
            while self.states(name).count(state) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return [event for event in self.events if (event.name, event.state) == (name, state)][count - 1]
