"""Providers whose models run in a backend of their own, which is started when it is needed."""

from __future__ import annotations

from contextlib import aclosing
from importlib.util import find_spec
from typing import TYPE_CHECKING

from automarket.errors import EngineMissing, StateError
from automarket.service_status import ServiceState, ServiceStatus
from provider_servers.runtime.describe import Availability, Provider
from provider_servers.runtime.events import Progress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.runtime.on_demand import OnDemand

UNSEEN = ServiceStatus(ServiceState.ABSENT, running=False, healthy=False, message="not looked for yet")
_NEARLY_READY = (ServiceState.LOADING, ServiceState.READY, ServiceState.BUSY, ServiceState.IDLE)
_PHASES = {ServiceState.PULLING: "pulling", **dict.fromkeys(_NEARLY_READY, "loading")}


class BackedProvider(Provider):
    """A provider with a backend. A model takes a lease for each call.

    As in:

        async with self._backend.lease() as lease:
            async for status in lease.ready():
                yield waiting(status)
            answer = await lease.run(client.transcribe(...))

    Args:
        backend: starts and stops it.
    """

    def __init__(self, backend: OnDemand) -> None:
        self._backend = backend

    async def open(self) -> None:
        """Look for a backend that runs already."""
        await self._backend.open()

    async def close(self) -> None:
        """Stop the backend, where it is the mesh's."""
        await self._backend.close()

    def unseen_service(self) -> ServiceStatus:
        """Give what is known of the backend before anybody has looked: calls go elsewhere first."""
        return UNSEEN

    async def start_service(self) -> AsyncIterator[ServiceStatus]:
        """Start the backend and give its states until it is ready."""
        async with aclosing(self._backend.start()) as states:
            async for status in states:
                yield status

    async def stop_service(self) -> ServiceStatus:
        """Stop the backend, where it is the mesh's."""
        return await self._backend.stop()

    async def service_status(self, log_lines: int = 0) -> ServiceStatus:
        """Say how the backend is."""
        return await self._backend.status(log_lines)

    async def watch_service(self) -> AsyncIterator[ServiceStatus]:
        """Give how the backend is, now and whenever that changes."""
        async with aclosing(self._backend.watch()) as states:
            async for status in states:
                yield status


def waiting(status: ServiceStatus) -> Progress:
    """Say that a call waits for its backend: an event that does not count as acceptance."""
    phase = _PHASES.get(status.state, "starting")
    return Progress(phase, status.fraction, status.message)


def runs_in_docker(base_url: str = "") -> Availability:
    """Say whether a backend can be had here: by Docker, or because it runs already.

    Args:
        base_url: where a backend runs that is not the mesh's; empty when there is none.
    """
    if base_url:
        return Availability()
    from automarket.docker_check import check_docker, compose_command

    try:
        check_docker()
        compose_command()
        if find_spec("docker") is None:
            raise EngineMissing("the Python package docker is not installed", hint="pip install 'automarket[docker]'")
    except StateError as error:
        return Availability.lacking(error)
    return Availability()
