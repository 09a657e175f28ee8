"""A backend's container as Docker shows it: which one it is, whose, how it is, and what has become of it."""

from __future__ import annotations

import hashlib
from contextlib import aclosing
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError, BackendFailed
from automarket.service_status import ServiceState, ServiceStatus
from services.runtime.engine import Attributes, Engine, Refused
from services.runtime.locks import BackendLocks
from services.runtime.probe import listens, takes_work
from services.runtime.states import (
    BACKEND_LABEL,
    FAILED_LINES,
    STARTED_BY_LABEL,
    failure,
    health,
    is_paused,
    is_running,
    is_vanishing,
    labels,
    lacks_network,
    published_port,
    status_of,
    with_lines,
)
from services.runtime.watch import Watcher

if TYPE_CHECKING:
    from pathlib import Path

    from services.runtime.service import IsReady
    from services.runtime.settings import BackendSettings, BackendSpec

_WORKING_SECONDS = 2.0


def mesh_name(state_dir: Path) -> str:
    """Name the mesh whose processes share a folder of locks: what it starts carries that, and no other may stop it."""
    return f"mesh-{hashlib.sha256(str(state_dir.absolute()).encode()).hexdigest()[:8]}"


class BackendContainer:
    """One backend's container. This looks and changes nothing.

    Args:
        engine: Docker.
        spec: what the backend's folder says.
        settings: what the user has set.
        is_ready: tells whether the backend at a URL takes work.
    """

    # A backend that works may answer no probe: while a call of any process works with it, it is READY.

    def __init__(self, engine: Engine, spec: BackendSpec, settings: BackendSettings, *, is_ready: IsReady) -> None:
        self.name = spec.name
        self.mesh = mesh_name(settings.state_dir)
        self.watcher = Watcher(engine, spec.name)
        self._engine = engine
        self._spec = spec
        self._is_ready = is_ready
        self._memory = settings.variable("memory")
        self._locks = BackendLocks(settings.state_dir, spec.name)
        self._usual_url = f"http://127.0.0.1:{settings.port or spec.port}"
        self.url = self._usual_url

    def is_ours(self, found: Attributes | None) -> bool:
        """Tell whether this mesh started it, so that it may stop it."""
        return found is not None and labels(found).get(STARTED_BY_LABEL) == self.mesh

    async def status(self, found: Attributes | None, log_lines: int = 0) -> ServiceStatus:
        """Say how it is, from what was found."""
        ready = await self._takes_work(found)
        if found is None and ready:
            return ServiceStatus(message=f"{self.name} runs at {self.url}; somebody else has started it")
        status = status_of(found, self.name, ready=ready, managed=self.is_ours(found), memory=self._memory)
        lines = max(log_lines, FAILED_LINES if status.state == ServiceState.FAILED else 0)
        if found is not None and lines:
            status = with_lines(status, await self._engine.logs(found["Id"], lines))
        return status

    async def _takes_work(self, found: Attributes | None) -> bool:
        if found is not None:
            if is_stopped_short(found):
                return False
            if health(found) == "healthy" or self._locks.worked_on():
                return True
        return await takes_work(self._is_ready, self.url)

    async def find(self) -> Attributes | None:
        """Find its container: the one that runs, else the one that the mesh has made, else the newest."""
        known = self.watcher.container
        found = await self._engine.inspect(known) if known else None
        if not is_running(found):
            shown = await self._engine.containers(f"{BACKEND_LABEL}={self.name}")
            inspected = [await self._engine.inspect(one["Id"]) for one in shown]
            there = [one for one in inspected if one is not None]
            found = max(there, key=lambda one: (is_running(one), self.is_ours(one), one["Created"]), default=None)
        self.watcher.container = found["Id"] if found else ""
        if found and (port := published_port(found, self._spec.port)):
            self.url = f"http://127.0.0.1:{port}"
        elif not is_running(found):
            self.url = self._usual_url
        return found

    async def broken(self) -> AutoMarketError:
        """Wait until what runs now has ended, is paused or has lost its network, and say so."""
        container = self.watcher.container
        async with aclosing(self.watcher.beats(_WORKING_SECONDS)) as beats:
            async for _ in beats:
                if (error := await self._what_is_wrong(container)) is not None:
                    return error
        raise AssertionError

    async def _what_is_wrong(self, container: str) -> AutoMarketError | None:
        try:
            found = await self._engine.inspect(container) if container else None
            if container and (found is None or is_vanishing(found)):
                return BackendFailed(f"the container of backend {self.name} was removed during the call")
        except (AutoMarketError, Refused) as error:
            # The container may go on without the engine.
            return None if await listens(self.url) else BackendFailed(f"backend {self.name} has ended: {error}")
        if found is None:
            return None if await listens(self.url) else BackendFailed(f"backend {self.name} has ended")
        if not is_stopped_short(found):
            return None
        status = status_of(found, self.name, ready=False, managed=self.is_ours(found), memory=self._memory)
        return failure(with_lines(status, await self._engine.logs(container, FAILED_LINES)), self.name)


def is_stopped_short(found: Attributes | None) -> bool:
    """Tell whether a container cannot go on by itself."""
    return not is_running(found) or found is None or is_paused(found) or lacks_network(found)
