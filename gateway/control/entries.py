"""What the registry keeps of a provider and of an instance: descriptors as they came, completed, and their state."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from automarket.v1 import endpoint_pb2, model_pb2, registry_service_pb2
from gateway.control.names import capability_names, capability_reference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from automarket.errors import AutoMarketError


@dataclass(slots=True)
class InstanceEntry:
    """One registered instance."""

    registration: registry_service_pb2.Registration
    load: registry_service_pb2.InstanceLoad = field(default_factory=registry_service_pb2.InstanceLoad)
    draining: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    reason: AutoMarketError | None = None

    def end(self, reason: AutoMarketError) -> None:
        """Ask the instance's stream to end."""
        self.reason = reason
        self.ended.set()

    @property
    def instance_id(self) -> str:
        """Identity of the process."""
        return self.registration.instance_id

    def endpoints(self) -> list[endpoint_pb2.Endpoint]:
        """Give the endpoints, nearest first."""
        return sorted(self.registration.endpoints, key=lambda endpoint: endpoint.scope)

    def describe(self) -> model_pb2.Instance:
        """Give the instance as discovery shows it."""
        return model_pb2.Instance(
            instance_id=self.instance_id,
            active_calls=self.load.active_calls,
            queued_calls=self.load.queued_calls,
            max_concurrent_calls=self.registration.max_concurrent_calls,
            draining=self.draining,
        )


@dataclass(slots=True)
class ProviderEntry:
    """One provider: its newest description and its instances."""

    provider: model_pb2.Provider
    models: list[model_pb2.Model] = field(default_factory=list[model_pb2.Model])
    instances: dict[str, InstanceEntry] = field(default_factory=dict[str, InstanceEntry])
    permanent: bool = False
    lost_at: float = 0.0

    def names(self) -> tuple[str, ...]:
        """Give id and aliases."""
        return (self.provider.id, *self.provider.aliases)

    def availability(self) -> model_pb2.Availability:
        """Say whether it can take work now."""
        own = self.provider.availability
        if self.provider.HasField("availability") and not own.available:
            return own
        if not self.instances:
            return model_pb2.Availability(reason="no instance of it is running now", hint="automarket up starts it")
        return model_pb2.Availability(available=True)

    def describe(self) -> model_pb2.Provider:
        """Give the provider as discovery shows it."""
        described = model_pb2.Provider()
        described.CopyFrom(self.provider)
        del described.instances[:], described.capabilities[:]
        described.availability.CopyFrom(self.availability())
        described.instances.extend(entry.describe() for entry in self.instances.values())
        names = {capability.name for model in self.models for capability in model.capabilities}
        described.capabilities.extend(capability_reference(name) for name in sorted(names))
        return described


def completed(models: Iterable[model_pb2.Model], provider_id: str) -> list[model_pb2.Model]:
    """Copy models, with what a provider may leave out: its own id, and names and derived capabilities."""
    completed: list[model_pb2.Model] = []
    for given in models:
        model = model_pb2.Model()
        model.CopyFrom(given)
        model.provider_id = provider_id
        if not model.HasField("availability"):
            model.availability.available = True
        names = capability_names(model)
        del model.capabilities[:]
        model.capabilities.extend(capability_reference(name) for name in names)
        completed.append(model)
    return completed
