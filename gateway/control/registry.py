"""The registry: who is in the mesh now, and who was a moment ago.

It holds descriptors as they came, and tells listeners what changed. Everything runs on one event loop; nothing here
waits.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from automarket.errors import (
    InstanceReplaced,
    NameTaken,
    ProviderUnavailable,
    ProviderUnknown,
    StateError,
    UnavailableError,
)
from automarket.rpc import metrics
from gateway.control.entries import InstanceEntry, ProviderEntry, completed
from gateway.control.validation import Faults
from gateway.relay.refusal import Lack, unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from automarket.errors import AutoMarketError, NotFoundError
    from automarket.v1 import registry_service_pb2

log = logging.getLogger("automarket.control")

# A mesh whose expected providers are all here is settled after this part of the time: others had time to register too.
SETTLE_SHARE = 0.4


class Registry:
    """All providers of the mesh.

    Args:
        remember_seconds: how long a provider that was lost is still known by name.
        settle_seconds: how long after the start an unknown name may still turn up; less when all providers that are
            expected here have registered.
        clock: gives monotonic seconds.
    """

    def __init__(
        self,
        remember_seconds: float = 600.0,
        settle_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._remember_seconds = remember_seconds
        self._settle_seconds = settle_seconds
        self._clock = clock
        self._started = clock()
        self._expected: set[str] = set()
        self._providers: dict[str, ProviderEntry] = {}
        self._listeners: list[Callable[[str], None]] = []
        self._service_listeners: list[Callable[[str], None]] = []
        self._load_listeners: list[Callable[[InstanceEntry], None]] = []
        self.version = 0
        self.closed = False

    @property
    def settle_times(self) -> tuple[float, float]:
        """Seconds after the start at which the registry may count as settled, and at which it does."""
        return (self._settle_seconds * SETTLE_SHARE, self._settle_seconds)

    @property
    def settled(self) -> bool:
        """Whether providers have had time to register after control started."""
        early, late = self.settle_times
        age = self._clock() - self._started
        complete = bool(self._expected) and all(self._providers[key].instances for key in self._expected)
        return age >= late or (complete and age >= early)

    @property
    def retry_after(self) -> float:
        """Seconds after which asking again for what is not there may help."""
        return 1.0 if self.settled else max(0.1, self._started + self._settle_seconds - self._clock())

    def unknown(self, error: NotFoundError) -> AutoMarketError:
        """Give the error itself; but while providers are still registering, ask to come back."""
        if self.settled:
            return error
        message = f"{error.message} yet: control has just started and providers are still registering"
        return ProviderUnavailable(message, hint="try again", retry_after=self.retry_after)

    def close(self) -> None:
        """Ask all registered instances to register again later, and all watchers to watch again."""
        self.closed = True
        for entry in self._providers.values():
            for instance in entry.instances.values():
                instance.end(UnavailableError("control is going down", hint="register again", retry_after=0.5))
        self._changed("")

    def listen(self, changed: Callable[[str], None]) -> Callable[[], None]:
        """Call `changed(provider_id)` after every change that routes depend on, but of load; give what ends that."""
        self._listeners.append(changed)
        return lambda: self._listeners.remove(changed)

    def listen_to_services(self, changed: Callable[[str], None]) -> Callable[[], None]:
        """Call `changed(provider_id)` whenever a backend says how it is; give what ends that."""
        self._service_listeners.append(changed)
        return lambda: self._service_listeners.remove(changed)

    def listen_to_load(self, changed: Callable[[InstanceEntry], None]) -> None:
        """Call `changed(instance)` whenever the load of an instance changes."""
        self._load_listeners.append(changed)

    def _changed(self, provider_id: str) -> None:
        self._tell(self._listeners, provider_id)

    def _tell(self, listeners: list[Callable[[str], None]], provider_id: str) -> None:
        self.version += 1
        for listener in tuple(listeners):
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
        raise self.unknown(ProviderUnknown(f"no provider is called {name!r}", hint="automarket providers lists them"))

    def instances(self, name: str, instance_id: str = "") -> list[InstanceEntry]:
        """Give the instances of a provider, or the one that is named.

        Raises:
            ProviderUnknown: there is no such provider or instance.
            ProviderUnavailable: none runs now.
            StateError: none can run here before something is done.
        """
        entry = self.provider(name)
        found = [one for one in entry.instances.values() if instance_id in ("", one.instance_id)]
        if not found and instance_id and entry.instances:
            raise self.unknown(ProviderUnknown(f"provider {entry.provider.id} has no instance {instance_id!r}"))
        if not found:
            raise self._nobody(entry)
        return found

    def _nobody(self, entry: ProviderEntry) -> ProviderUnavailable | StateError:
        availability = entry.availability()
        metadata = {"provider": entry.provider.id}
        if not entry.can_run:
            lack = Lack(entry.provider.id, availability.reason, availability.hint, availability.error_reason)
            return unusable([lack], metadata)
        message = f"provider {entry.provider.id} cannot be reached: {availability.reason}"
        return ProviderUnavailable(message, hint=availability.hint, retry_after=self.retry_after, metadata=metadata)

    def _forget(self) -> None:
        limit = self._clock() - self._remember_seconds
        for key, entry in list(self._providers.items()):
            if not entry.instances and not entry.permanent and entry.lost_at < limit:
                del self._providers[key]
                self._changed(key)

    # --- what changes ---

    def know(self, entries: Iterable[ProviderEntry]) -> None:
        """Take providers that exist here whether they run or not."""
        for entry in entries:
            self._providers[entry.provider.id] = entry
            if entry.can_run:
                self._expected.add(entry.provider.id)
            self._changed(entry.provider.id)

    def add(self, registration: registry_service_pb2.Registration) -> InstanceEntry:
        """Take an instance, whose registration was checked, into the mesh.

        Raises:
            NameTaken: an id or alias belongs to another provider.
            InstanceReplaced: a newer generation of the same instance is registered.
            UnavailableError: control is going down.
        """
        if self.closed:
            raise UnavailableError("control is going down", hint="register again", retry_after=0.5)
        self._check_names(registration)
        provider_id = registration.provider.id
        entry = self._providers.setdefault(provider_id, ProviderEntry(registration.provider))
        older = entry.instances.get(registration.instance_id)
        if older is not None and older.registration.generation > registration.generation:
            raise InstanceReplaced(f"a newer generation of instance {registration.instance_id} is registered")
        if older is not None:
            older.end(InstanceReplaced(f"a newer generation of instance {registration.instance_id} has registered"))
        else:
            metrics.instances.add(1, {"provider": provider_id})
        instance = InstanceEntry(registration)
        if registration.HasField("service"):
            instance.service = registration.service
        entry.provider = registration.provider
        entry.models = completed(registration.models, provider_id)
        entry.instances[registration.instance_id] = instance
        log.info("registered", extra={"provider": provider_id, "instance": registration.instance_id})
        self._changed(provider_id)
        return instance

    def _check_names(self, registration: registry_service_pb2.Registration) -> None:
        provider = registration.provider
        others = [entry for entry in self.providers() if entry.provider.id != provider.id]
        # Whoever is neither here nor expected here has left its names to others.
        taken = {name: e.provider.id for e in others if e.instances or e.permanent for name in e.names()}
        faults = Faults()
        if provider.id in taken:
            faults.add("registration.provider.id", f"{provider.id!r} belongs to provider {taken[provider.id]!r}")
        for number, alias in enumerate(provider.aliases):
            if alias in taken:
                faults.add(f"registration.provider.aliases[{number}]", f"{alias!r} belongs to {taken[alias]!r}")
        if any(registration.instance_id in entry.instances for entry in others):
            faults.add("registration.instance_id", f"{registration.instance_id!r} belongs to another provider")
        if faults:
            raise NameTaken(next(iter(faults.values())), fields=faults, metadata={"provider": provider.id})

    def update(self, instance: InstanceEntry, update: registry_service_pb2.RegistrationUpdate) -> None:
        """Take what an instance says has changed; models were checked."""
        provider_id = instance.registration.provider.id
        entry = self._providers[provider_id]
        if update.HasField("models"):
            entry.models = completed(update.models.models, provider_id)
        if update.HasField("availability"):
            entry.provider.availability.CopyFrom(update.availability)
        begins_to_drain = update.draining and not instance.draining
        standby = instance.standby
        if update.HasField("service"):
            instance.service = update.service
        shown = update.HasField("models") or update.HasField("availability") or begins_to_drain
        shown |= instance.standby != standby
        instance.draining |= update.draining  # nobody comes back from it, whatever later updates leave out
        if update.HasField("load"):
            instance.load.CopyFrom(update.load)
            for listener in self._load_listeners:
                listener(instance)
        if shown:
            self._changed(provider_id)
        if update.HasField("service"):
            self._tell(self._service_listeners, provider_id)

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
