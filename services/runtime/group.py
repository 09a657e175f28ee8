"""Backends that do not fit on this machine together: starting one stops the others of its group that are idle."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING

from automarket.service_status import ServiceState, ServiceStatus
from services.runtime.container import mesh_name
from services.runtime.locks import BackendLocks, FileLock, taken
from services.runtime.states import BACKEND_LABEL, GROUP_LABEL, STARTED_BY_LABEL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from services.runtime.engine import Engine

_POLL_SECONDS = 0.3
STOP_SECONDS = 10.0


class ExclusiveGroup:
    """One backend's place in its group. An empty group has room for everybody."""

    def __init__(self, engine: Engine, name: str, group: str, state_dir: Path) -> None:
        self._engine = engine
        self._name = name
        self._group = group
        self._state_dir = state_dir
        self._mesh = mesh_name(state_dir)

    async def make_room(self, until: ExitStack) -> AsyncGenerator[ServiceStatus]:
        """Stop the others; wait while they are in use, saying for whom. Nobody else of the group starts before `until`.

        Whoever waits keeps nobody out: the one who is waited for may have to start again to finish.
        """
        while self._group:
            with ExitStack() as held:
                nobody_starts = held.enter_context(taken(FileLock(self._state_dir / f"{self._group}.group")))
                busy = await self._stop_others() if nobody_starts else "another backend of its group, which starts"
                if not busy:
                    until.push(held.pop_all())
                    return
            message = f"{self._name} waits for {busy}"
            yield ServiceStatus(ServiceState.STARTING, running=False, healthy=False, message=message)
            await asyncio.sleep(_POLL_SECONDS)

    async def _stop_others(self) -> str:
        """Stop the others that are idle; name those that are not."""
        busy: list[str] = []
        for one in await self._engine.containers(f"{GROUP_LABEL}={self._group}"):
            marks: dict[str, str] = one.get("Labels") or {}
            other = marks.get(BACKEND_LABEL, "")
            is_ours = marks.get(STARTED_BY_LABEL) == self._mesh
            if one.get("State") != "running" or other in ("", self._name) or not is_ours:
                continue
            with BackendLocks(self._state_dir, other).stopping() as free:
                if free:
                    await self._engine.stop(one["Id"], STOP_SECONDS)
                else:
                    busy.append(other)
        return f"{' and '.join(busy)}, which is in use" if busy else ""
