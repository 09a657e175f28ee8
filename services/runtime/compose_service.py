"""A backend in a container that Compose describes and Docker runs. This knows Docker and nothing of what runs in it."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import ExitStack, aclosing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from automarket.docker_check import check_docker
from automarket.errors import AutoMarketError, BackendFailed, ServiceStartFailed
from automarket.service_status import ServiceState, ServiceStatus
from services.runtime.compose import Compose
from services.runtime.container import BackendContainer, is_stopped_short
from services.runtime.engine import Attributes, Counters, Engine, Refused
from services.runtime.explain import explain_start
from services.runtime.group import STOP_SECONDS, ExclusiveGroup
from services.runtime.progress import StartClock
from services.runtime.pull import pull
from services.runtime.states import (
    FAILED_LINES,
    SETTINGS_LABEL,
    health,
    health_output,
    is_paused,
    is_running,
    labels,
    lacks_network,
    with_lines,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from services.runtime.service import IsReady
    from services.runtime.settings import BackendSettings, BackendSpec

_BEAT_SECONDS = 15.0
_LOADING_SECONDS = 0.5
_COMPOSE_SECONDS = 60.0


class DockerComposeService:
    """One backend's container.

    A start that the mesh has begun goes through CREATED, STARTING and LOADING to READY, with PULLING before when the
    image is not here. What fails on the way is left stopped, with its log. A container that somebody else has started
    is waited for and used, and never touched.

    Args:
        spec: what the backend's folder says.
        settings: what the user has set.
        is_ready: tells whether the backend at a URL takes work.
    """

    # A backend at work counts as READY, so that it is not stopped by a start that waits for it.

    def __init__(self, spec: BackendSpec, settings: BackendSettings, *, is_ready: IsReady) -> None:
        self.name = spec.name
        self._spec = spec
        self._settings = settings
        self._seconds = settings.start_seconds or spec.start_seconds
        self._engine = Engine()
        self._container = BackendContainer(self._engine, spec, settings, is_ready=is_ready)
        self._group = ExclusiveGroup(self._engine, spec.name, settings.exclusive_group, settings.state_dir)
        self._compose = Compose(spec.name, _files(spec, gpu=settings.gpu), self._environment(), settings)

    @property
    def url(self) -> str:
        """Where it is, or will be."""
        return self._container.url

    # --- how it is ---

    async def status(self, log_lines: int = 0) -> ServiceStatus:
        """Say how it is; what keeps Docker from telling is told as its error."""
        try:
            return await self._container.status(await self._container.find(), log_lines)
        except (AutoMarketError, Refused) as error:
            hint = error.hint or "" if isinstance(error, AutoMarketError) else ""
            said = error.message if isinstance(error, AutoMarketError) else f"Docker says: {error}"
            return ServiceStatus(ServiceState.FAILED, running=False, healthy=False, error=said, hint=hint)

    async def outdated(self) -> bool:
        """Tell whether the mesh started what runs with settings that are not those of now."""
        with suppress(AutoMarketError, Refused):
            found = await self._container.find()
            if found is not None and is_running(found) and self._container.is_ours(found):
                return labels(found).get(SETTINGS_LABEL) != self._compose_digest()
        return False

    async def logs(self, lines: int) -> tuple[str, ...]:
        """Give the last lines that it wrote."""
        found = await self._container.find()
        return await self._engine.logs(found["Id"], lines) if found else ()

    async def stats(self) -> Counters:
        """Say what it has used since it was started."""
        found = await self._container.find()
        return await self._engine.counters(found["Id"]) if found else Counters()

    async def exec(self, command: Sequence[str]) -> tuple[int, str]:
        """Run a command in its container; give the exit code and what it wrote.

        Raises:
            BackendFailed: it does not run.
        """
        found = await self._container.find()
        try:
            if found is not None:
                return await self._engine.execute(found["Id"], command)
        except Refused as error:
            raise BackendFailed(f"backend {self.name} cannot run a command: {error}") from error
        raise BackendFailed(f"backend {self.name} cannot run a command: it is not there")

    def events(self) -> AsyncGenerator[Attributes]:
        """Give what happens to containers and networks, as Docker tells it."""
        return self._engine.events()

    def beats(self) -> AsyncGenerator[None]:
        """Give a beat whenever something may have changed, and now and then."""
        return self._container.watcher.beats(_BEAT_SECONDS)

    # --- starting ---

    async def start(self) -> AsyncGenerator[ServiceStatus]:
        """Start it and give its states, the last one READY or FAILED.

        The time of a start runs only while there is no progress: bytes of an image, changes of state, log lines, work
        and traffic of the container are progress.

        Raises:
            StateError: something that Docker needs is missing; the class says what.
            ServiceStartFailed: Docker could not start it.
            DiskFull: there is no room.
        """
        await asyncio.to_thread(check_docker)
        with ExitStack() as until:
            try:
                found = await self._container.find()
                status = await self._container.status(found)
                if not status.running or (status.state != ServiceState.READY and self._container.is_ours(found)):
                    async with aclosing(self._group.make_room(until)) as waiting:
                        async for one in waiting:
                            yield one
                    async with aclosing(self._run(found)) as states:
                        async for one in states:
                            yield one
                    found = await self._container.find()
                async with aclosing(self._load(found)) as states:
                    async for one in states:
                        yield one
            except Refused as error:
                raise explain_start(str(error), self.name, self._settings) from error

    async def _run(self, found: Attributes | None) -> AsyncGenerator[ServiceStatus]:
        """Make the container run: the one that is there if it is as it should be, else a new one."""
        if found is not None and is_running(found) and not lacks_network(found):
            if is_paused(found):
                yield self._on_the_way(ServiceState.STARTING, "is let go on: it was paused")
                await self._engine.unpause(found["Id"])
            return
        image = self._compose.image()
        if not (image_id := await self._engine.image_id(image)):
            pulling = pull(self._engine, image, name=self.name, settings=self._settings, silence=self._seconds)
            async with aclosing(pulling) as states:
                async for one in states:
                    yield one
        if found is not None and not is_running(found) and self._is_as_told(found, image_id):
            yield self._on_the_way(ServiceState.STARTING, "is being started")
            with suppress(Refused):  # something that it needs is gone: a new one is made
                await self._engine.start(found["Id"])
                return
        before = ServiceState.ABSENT if found is None else ServiceState.STOPPED
        yield self._on_the_way(before, "gets a new container")
        made = await self._made(anew=found is not None)
        yield self._on_the_way(ServiceState.CREATED, "has its container")
        yield self._on_the_way(ServiceState.STARTING, "is being started")
        try:
            await self._engine.start(made["Id"])
        except Refused:
            await self._engine.remove(made["Id"])  # it would keep half of what it was refused
            raise

    def _is_as_told(self, found: Attributes, image_id: str) -> bool:
        """Tell whether a container is what Compose would make now."""
        as_told = labels(found).get(SETTINGS_LABEL) == self._compose_digest()
        return self._container.is_ours(found) and as_told and found["Image"] == image_id

    async def _made(self, *, anew: bool) -> Attributes:
        await self._compose.create(anew=anew, silence=max(self._seconds, _COMPOSE_SECONDS))
        self._container.watcher.container = ""
        if (made := await self._container.find()) is None or not self._container.is_ours(made):
            raise ServiceStartFailed(f"backend {self.name} could not be started: Compose made no container")
        return made

    async def _load(self, found: Attributes | None) -> AsyncGenerator[ServiceStatus]:
        """Wait until it takes work; what the mesh started and does not get there is stopped."""
        clock = StartClock(self._engine, found["Id"] if found else "", self._seconds)
        seen = before = health(found or {})
        async with aclosing(self._container.watcher.beats(_LOADING_SECONDS)) as beats:
            async for _ in beats:
                found = await self._container.find()
                status = await self._container.status(found)
                if health(found or {}) != seen:
                    seen, before = health(found or {}), ""
                    clock.moved()
                if seen == before == "unhealthy" and not is_stopped_short(found):
                    # That may be from before: Docker says so of what was paused, until its next check.
                    status = status if status.healthy else replace(status, state=ServiceState.LOADING)
                if status.state in (ServiceState.READY, ServiceState.FAILED) or not status.running:
                    break
                await clock.look()
                if clock.expired:
                    status = self._stuck(status, found)
                    break
                yield status
            else:
                return
        if status.state != ServiceState.READY:
            status = await self._given_up(found, status)
        yield status

    def _stuck(self, status: ServiceStatus, found: Attributes | None) -> ServiceStatus:
        error = f"backend {self.name} was started and did not get ready: no progress for {self._seconds:.0f} s"
        if said := health_output(found or {}):
            error += f"; its health check says {said!r}"
        hint = f"its last lines may say why; {self._settings.variable('start_seconds')} gives it more time"
        return replace(status, state=ServiceState.FAILED, healthy=False, error=error, hint=hint, message="")

    async def _given_up(self, found: Attributes | None, status: ServiceStatus) -> ServiceStatus:
        """Give the end of a start that has failed, with the last lines; what the mesh started is stopped."""
        if found is not None and is_running(found) and self._container.is_ours(found):
            await self._engine.stop(found["Id"], STOP_SECONDS)
            status = replace(status, running=False)
        if status.state != ServiceState.FAILED:
            code = "" if status.exit_code is None else f" with exit code {status.exit_code}"
            error = f"backend {self.name} ended{code} before it was ready"
            status = replace(status, state=ServiceState.FAILED, error=error, hint="its last lines may say why")
        lines = await self._engine.logs(found["Id"], FAILED_LINES) if found is not None else ()
        return with_lines(replace(status, message=""), lines)

    def _on_the_way(self, state: ServiceState, what: str) -> ServiceStatus:
        return ServiceStatus(state, running=False, healthy=False, message=f"{self.name} {what}", managed=True)

    # --- the end ---

    async def stop(self) -> ServiceStatus:
        """Stop it, and leave alone what the mesh did not start."""
        try:
            found = await self._container.find()
            if found is not None and is_running(found) and self._container.is_ours(found):
                await self._engine.stop(found["Id"], STOP_SECONDS)
        except (AutoMarketError, Refused):
            pass  # its status says what is wrong
        return await self.status()

    async def broken(self) -> AutoMarketError:
        """Wait until what runs now has ended, is paused or has lost its network, and say so."""
        return await self._container.broken()

    async def close(self) -> None:
        """Give up the connections to Docker; the container goes on."""
        await self._container.watcher.close()
        await self._engine.close()

    # --- what Compose is told ---

    def _environment(self) -> dict[str, str]:
        return {
            **self._settings.environment(),
            "AUTOMARKET_STARTED_BY": self._container.mesh,
            "AUTOMARKET_SETTINGS": self._compose_digest(),
        }

    def _compose_digest(self) -> str:
        """Name what the container is made from: the files, and what they interpolate."""
        said = "\n".join(path.read_text(encoding="utf-8") for path in _files(self._spec, gpu=self._settings.gpu))
        given = sorted(self._settings.environment().items())
        used = "\n".join(f"{name}={value}" for name, value in given if f"${{{name}" in said)
        return hashlib.sha256(f"{said}\n{used}".encode()).hexdigest()[:12]


def _files(spec: BackendSpec, *, gpu: bool) -> list[Path]:
    names = ["docker-compose.yml", *(["docker-compose.gpu.yml"] if gpu else [])]
    return [spec.folder / name for name in names]
