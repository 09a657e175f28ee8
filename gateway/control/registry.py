"""The registry: who is in the mesh now, and who was a moment ago.

It holds descriptors as they came, and tells listeners what changed. Everything runs on one event loop; nothing here
waits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from automarket.errors import InstanceReplaced, NameTaken, ProviderUnavailable, ProviderUnknown
from automarket.rpc import metrics
from automarket.v1 import endpoint_pb2, model_pb2, registry_service_pb2
from gateway.control.names import capability_names, capability_reference
from gateway.control.validation import Faults, check, check_models, raise_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

log = logging.getLogger("automarket.control")


@dataclass(slots=True)
class InstanceEntry:
    """One registered instance."""

    registration: registry_service_pb2.Registration
    load: registry_service_pb2.InstanceLoad = field(default_factory=registry_service_pb2.InstanceLoad)
    draining: bool = False
    replaced: asyncio.Event = field(default_factory=asyncio.Event)

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


class Registry:
    """All providers of the mesh.

    Args:
        remember_seconds: how long a provider that was lost is still known by name.
        clock: gives monotonic seconds.
    """

    def __init__(self, remember_seconds: float = 600.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._remember_seconds = remember_seconds
        self._clock = clock
        self._providers: dict[str, ProviderEntry] = {}
        self._listeners: list[Callable[[str], None]] = []
        self._load_listeners: list[Callable[[InstanceEntry], None]] = []
        self.version = 0

    def listen(self, changed: Callable[[str], None]) -> Callable[[], None]:
        """Call `changed(provider_id)` after every change but of load; give what ends that."""
        self._listeners.append(changed)
        return lambda: self._listeners.remove(changed)

    def listen_to_load(self, changed: Callable[[InstanceEntry], None]) -> None:
        """Call `changed(instance)` whenever the load of an instance changes."""
        self._load_listeners.append(changed)

    def _changed(self, provider_id: str) -> None:
        self.version += 1
        for listener in tuple(self._listeners):
            listener(provider_id)

    # --- what there is ---

    def providers(self) -> list[ProviderEntry]:
        """Give all providers by id."""
        self._forget()
        return [self._providers[key] for key in sorted(self._providers)]

    def provider(self, name: str) -> ProviderEntry:
        """Give the provider with that id or alias.

        Raises:
            ProviderUnknown: there is none.
        """
        for entry in self.providers():
            if name in entry.names():
                return entry
        raise ProviderUnknown(f"no provider is called {name!r}", hint="automarket providers lists them")

    def instances(self, name: str, instance_id: str = "") -> list[InstanceEntry]:
        """Give the instances of a provider, or the one that is named.

        Raises:
            ProviderUnknown: there is no such provider or instance.
            ProviderUnavailable: none runs now.
        """
        entry = self.provider(name)
        found = [one for one in entry.instances.values() if instance_id in ("", one.instance_id)]
        if not found and instance_id and entry.instances:
            raise ProviderUnknown(f"provider {entry.provider.id} has no instance {instance_id!r}")
        if not found:
            availability = entry.availability()
            message = f"provider {entry.provider.id} cannot be reached: {availability.reason}"
            raise ProviderUnavailable(
                message, hint=availability.hint, retry_after=1.0, metadata={"provider": entry.provider.id}
            )
        return found

    def _forget(self) -> None:
        limit = self._clock() - self._remember_seconds
        for key, entry in list(self._providers.items()):
            if not entry.instances and not entry.permanent and entry.lost_at < limit:
                del self._providers[key]
                self._changed(key)

    # --- what changes ---

    def know(self, providers: Iterable[model_pb2.Provider]) -> None:
        """Take providers that exist here whether they run or not."""
        for provider in providers:
            self._providers[provider.id] = ProviderEntry(provider, permanent=True)
            self._changed(provider.id)

    def add(self, registration: registry_service_pb2.Registration) -> InstanceEntry:
        """Take an instance into the mesh.

        Raises:
            RegistrationInvalid: it describes itself wrongly.
            NameTaken: an id or alias belongs to another provider.
            InstanceReplaced: a newer generation of the same instance is registered.
        """
        check(registration)
        self._check_names(registration)
        provider_id = registration.provider.id
        entry = self._providers.setdefault(provider_id, ProviderEntry(registration.provider))
        older = entry.instances.get(registration.instance_id)
        if older is not None and older.registration.generation > registration.generation:
            raise InstanceReplaced(f"a newer generation of instance {registration.instance_id} is registered")
        if older is not None:
            older.replaced.set()
        else:
            metrics.instances.add(1, {"provider": provider_id})
        instance = InstanceEntry(registration)
        entry.provider = registration.provider
        entry.models = _completed(registration.models, provider_id)
        entry.instances[registration.instance_id] = instance
        log.info("registered", extra={"provider": provider_id, "instance": registration.instance_id})
        self._changed(provider_id)
        return instance

    def _check_names(self, registration: registry_service_pb2.Registration) -> None:
        provider = registration.provider
        taken = {name: e.provider.id for e in self.providers() if e.provider.id != provider.id for name in e.names()}
        faults = Faults()
        if provider.id in taken:
            faults.add("registration.provider.id", f"{provider.id!r} belongs to provider {taken[provider.id]!r}")
        for number, alias in enumerate(provider.aliases):
            if alias in taken:
                faults.add(f"registration.provider.aliases[{number}]", f"{alias!r} belongs to {taken[alias]!r}")
        if faults:
            raise NameTaken(next(iter(faults.values())), fields=faults, metadata={"provider": provider.id})

    def update(self, instance: InstanceEntry, update: registry_service_pb2.RegistrationUpdate) -> None:
        """Take what an instance says has changed."""
        provider_id = instance.registration.provider.id
        entry = self._providers[provider_id]
        if update.HasField("models"):
            faults = Faults()
            check_models(update.models.models, provider_id, "update.models", faults)
            raise_faults(faults, provider_id)
            entry.models = _completed(update.models.models, provider_id)
        if update.HasField("availability"):
            entry.provider.availability.CopyFrom(update.availability)
        shown = update.HasField("models") or update.HasField("availability") or update.draining != instance.draining
        instance.draining = update.draining
        if update.HasField("load"):
            instance.load.CopyFrom(update.load)
            for listener in self._load_listeners:
                listener(instance)
        if shown:
            self._changed(provider_id)

    def remove(self, instance: InstanceEntry) -> None:
        """Take an instance out; one that was replaced is out already."""
        provider_id = instance.registration.provider.id
        entry = self._providers.get(provider_id)
        if entry is None or entry.instances.get(instance.instance_id) is not instance:
            return
        del entry.instances[instance.instance_id]
        metrics.instances.add(-1, {"provider": provider_id})
        log.info(
            "gone", extra={"provider": provider_id, "instance": instance.instance_id, "lost": not instance.draining}
        )
        entry.lost_at = self._clock()
        if instance.draining and not entry.instances and not entry.permanent:
            del self._providers[provider_id]  # it said goodbye
        self._changed(provider_id)


def _completed(models: Iterable[model_pb2.Model], provider_id: str) -> list[model_pb2.Model]:
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
