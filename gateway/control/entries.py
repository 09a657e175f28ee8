"""What the registry keeps of a provider and of an instance: descriptors as they came, completed, and their state."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from automarket.v1 import (
    discovery_service_pb2,
    endpoint_pb2,
    media_provider_service_pb2,
    model_pb2,
    registry_service_pb2,
)
from gateway.control.names import capability_names, capability_reference
from gateway.relay.table import FAILED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from automarket.errors import AutoMarketError


# How far a backend is from taking work. One that is on its way comes before one that nobody has asked for, so that
# calls do not start several; to be started takes less time than to be fetched.
_STANDBY = {
    media_provider_service_pb2.SERVICE_STATE_STARTING: 1,
    media_provider_service_pb2.SERVICE_STATE_LOADING: 1,
    media_provider_service_pb2.SERVICE_STATE_CREATED: 2,
    media_provider_service_pb2.SERVICE_STATE_STOPPING: 2,
    media_provider_service_pb2.SERVICE_STATE_STOPPED: 2,
    media_provider_service_pb2.SERVICE_STATE_PULLING: 3,
    media_provider_service_pb2.SERVICE_STATE_ABSENT: 4,
    media_provider_service_pb2.SERVICE_STATE_FAILED: FAILED,
}


@dataclass(slots=True)
class InstanceEntry:
    """One registered instance.

    Attributes:
        service: how its backend is, as it last said; None when it has none that would have to be started.
    """

    registration: registry_service_pb2.Registration
    load: registry_service_pb2.InstanceLoad = field(default_factory=registry_service_pb2.InstanceLoad)
    draining: bool = False
    service: media_provider_service_pb2.ServiceStatus | None = None
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

    @property
    def standby(self) -> int:
        """How far its backend is from taking work; 0 takes it at once."""
        return _STANDBY.get(self.service.state, 0) if self.service is not None else 0

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

    @property
    def can_run(self) -> bool:
        """Whether it says itself that it can take work; one that says nothing can."""
        return self.provider.availability.available or not self.provider.HasField("availability")

    def availability(self) -> model_pb2.Availability:
        """Say whether it can take work now."""
        if not self.can_run:
            return self.provider.availability
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

    def services(self) -> list[discovery_service_pb2.ServiceChange]:
        """Say how the backends of its instances are."""
        return [
            discovery_service_pb2.ServiceChange(
                provider_id=self.provider.id, instance_id=entry.instance_id, status=entry.service
            )
            for entry in self.instances.values()
            if entry.service is not None
        ]


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
