"""What the mesh knows of its providers and of the backends behind them, asked once."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from automarket.cli.plain import to_plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from automarket.client.descriptors import ProviderInfo, ServiceChange
    from automarket.client.mesh import Mesh
    from automarket.service_status import ServiceStatus

_WITHOUT_DOCKER = ("DOCKER_MISSING", "DOCKER_STOPPED", "DOCKER_DENIED", "COMPOSE_MISSING")


@dataclass(frozen=True, slots=True)
class Backends:
    """The providers by id, and how their backends are: for each provider by instance."""

    providers: list[ProviderInfo] = field(default_factory=list["ProviderInfo"])
    services: dict[str, list[ServiceChange]] = field(default_factory=dict[str, "list[ServiceChange]"])

    def state(self, provider: ProviderInfo) -> str:
        """Say how the backends of a provider are, in a word or two; empty where it has none."""
        found = self.services.get(provider.id, [])
        return ", ".join(dict.fromkeys(one.status.state for one in found))

    def missing(self) -> list[ProviderInfo]:
        """Give the providers whose backend cannot run on this machine."""
        return [one for one in self.providers if one.availability.error_reason in _WITHOUT_DOCKER]

    def plain(self, providers: Iterable[ProviderInfo]) -> list[dict[str, Any]]:
        """Give providers for programs, with their backends."""
        return [to_plain(one) | {"services": to_plain(self.services.get(one.id, []))} for one in providers]


async def ask_backends(mesh: Mesh) -> Backends:
    """Ask a mesh for its providers and their backends."""
    found = Backends()
    async with contextlib.aclosing(mesh.watch(include_models=False)) as changes:
        async for change in changes:
            if change.provider is not None:
                found.providers.append(change.provider)
            if change.service is not None:
                found.services.setdefault(change.service.provider_id, []).append(change.service)
            if change.snapshot_complete:
                break
    return found


def describe(status: ServiceStatus) -> str:
    """Say in a sentence what there is to say of a backend beside its state."""
    if not status.error:
        return status.message
    return f"{status.error} ({status.hint})" if status.hint else status.error
