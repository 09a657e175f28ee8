"""A provider whose backend a test plays: `provider_servers.runtime tests.support.backed:Backed`."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import ClassVar

from automarket.errors import BY_REASON, DockerMissing, ServiceStartFailed
from provider_servers.runtime import (
    Availability,
    BackedProvider,
    Model,
    Output,
    Role,
    ServiceState,
    ServiceStatus,
    Slot,
    Started,
    TextDelta,
    waiting,
)

LINES = tuple(f"line {number}" for number in range(40))
STOPPED = ServiceStatus(ServiceState.STOPPED, running=False, healthy=False, message="the box is stopped", managed=True)
READY = ServiceStatus(ServiceState.READY, message="the box is ready", managed=True)
WAY = (
    ServiceStatus(ServiceState.PULLING, running=False, healthy=False, fraction=0.25, message="pulling image 25 %"),
    ServiceStatus(ServiceState.PULLING, running=False, healthy=False, fraction=0.75, message="pulling image 75 %"),
    ServiceStatus(ServiceState.STARTING, healthy=False, message="starting"),
    ServiceStatus(ServiceState.LOADING, healthy=False, message="loading the model"),
)
FAILED = ServiceStatus(
    ServiceState.FAILED,
    running=False,
    healthy=False,
    error="the box ran out of memory",
    hint="give it more: AUTOMARKET_BOX_MEMORY",
    exit_code=137,
    out_of_memory=True,
    log_lines=LINES[-20:],
    managed=True,
)


class Played:
    """What drives a backend, with the face of `services.runtime.OnDemand`.

    Attributes:
        step: seconds that each state on the way takes.
        fails: the next start ends as FAILED.
        lacks: reason of the error with which the next start is refused.
        starts: how often it was started.
    """

    def __init__(self, step: float = 0.02) -> None:
        self.step = step
        self.fails = False
        self.lacks = ""
        self.starts = 0
        self.latest = STOPPED
        self.is_open = False
        self._starting: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    async def open(self):
        self.is_open = True

    async def close(self):
        self.is_open = False
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)

    def become(self, status: ServiceStatus) -> None:
        self.latest = status
        self._changed.set()
        self._changed = asyncio.Event()

    async def _start(self):
        self.starts += 1
        for status in WAY:
            self.become(status)
            await asyncio.sleep(self.step)
        self.become(FAILED if self.fails else READY)

    async def start(self):
        if self.lacks:
            raise BY_REASON[self.lacks]("Docker's engine does not answer", hint="systemctl start docker")
        if self.latest.healthy:
            yield self.latest
            return
        if self._starting is None or self._starting.done():
            self._starting = asyncio.create_task(self._start())
            await asyncio.sleep(0)
        task, told = self._starting, None
        while True:
            done, status = task.done(), self.latest
            if status != told:
                yield status
                told = status
            elif done:
                return
            await asyncio.wait({task}, timeout=0.01)

    async def stop(self):
        self.become(STOPPED)
        return self.latest

    async def status(self, log_lines=0):
        lines = LINES[-log_lines:] if log_lines else self.latest.log_lines
        return replace(self.latest, log_lines=lines)

    async def watch(self):
        while True:
            changed = self._changed
            yield self.latest
            await changed.wait()

    @asynccontextmanager
    async def lease(self):
        yield self

    async def ready(self):
        if self.latest.healthy:
            return
        async with aclosing(self.start()) as states:
            async for status in states:
                yield status
        if status.state == ServiceState.FAILED:
            raise ServiceStartFailed(status.error, hint=status.hint, log_lines=status.log_lines)

    async def run(self, awaitable):
        return await awaitable


class Backed(BackedProvider):
    """Says its text back, in capitals, when its backend is ready."""

    id = "backed"
    name = "Backed"
    aliases = ("box",)
    max_concurrent_calls = 2
    max_queued_calls = 16
    settings_schema: ClassVar = {
        "fails": {"type": "boolean"},
        "lacks": {"type": "string"},
        "step": {"type": "number"},
        "state": {"type": "string"},
        "more": {"type": "array", "items": {"type": "string"}},
    }

    def __init__(self, backend: Played | None = None) -> None:
        self.backend = backend or Played()
        self.more: list[str] = []
        super().__init__(self.backend)

    @classmethod
    def availability(cls):
        if os.environ.get("TEST_WITHOUT_DOCKER"):
            return Availability.lacking(DockerMissing("Docker is not installed", hint="apt install docker.io"))
        return Availability()

    def models(self):
        return [self._model(name) for name in ("shout", *self.more)]

    def _model(self, name):
        return Model(
            id=name,
            capabilities=("text-to-text",),
            inputs=(Slot("text", Role.TEXT),),
            outputs=(Output("text", Role.TEXT),),
            replay_safe=True,
        )

    def configure(self, settings):
        """Do to the backend what a test wants."""
        for name in ("fails", "lacks", "step"):
            setattr(self.backend, name, settings.get(name, getattr(self.backend, name)))
        if "state" in settings:
            self.backend.become(ServiceStatus(ServiceState(settings["state"]), healthy=False, managed=True))
        if "more" in settings:
            self.more = settings["more"]
            self.models_changed()

    async def transform(self, call):
        async with self.backend.lease() as lease:
            async for status in lease.ready():
                yield waiting(status)
            yield Started()
            text = await call.input("text").text()
            await asyncio.sleep(self.backend.step)
            yield TextDelta((text.upper(),))
