"""The routing table: who offers what, where, and how busy they are. Control makes it; data planes hold a copy.

It travels as JSON lines. A line with "providers" is the whole table; a line with "load" changes the load of instances.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

FAILED: Final = 5
"""The `standby` of an instance whose backend has failed: the next call may mend it."""


@dataclass(frozen=True, slots=True)
class Load:
    """Calls that an instance works on, and calls that wait for a place there."""

    active: int = 0
    queued: int = 0


@dataclass(frozen=True, slots=True)
class Instance:
    """One running server of a provider.

    Attributes:
        max_concurrent: calls that it works on at the same time, 0 is no bound.
        max_queued: calls that wait in its own line.
        standby: how far its backend is from taking work: 0 takes it at once, more comes later, FAILED comes last.
    """

    instance_id: str
    address: str
    max_concurrent: int = 0
    max_queued: int = 0
    draining: bool = False
    load: Load = Load()
    standby: int = 0


@dataclass(frozen=True, slots=True)
class Slot:
    """One input of a model: the roles that can be cast to what it takes, and whether it takes several."""

    accepts: tuple[str, ...]
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """One model, with everything that a route is chosen by.

    Attributes:
        names: id, canonical id and aliases.
        capabilities: its capabilities and all that they are a kind of.
        takes: its input slots, in order.
        makes: roles of its outputs, and the roles that these are a kind of.
        replay_safe: a call may run twice: nothing is billed, nothing changes.
        deduplicates: a call with a request id may be made twice: the vendor behind tells repetitions from new ones.
        error_reason: reason of the error that a call gets while it is not available; empty where it says nothing.
        own: those of its capabilities that are its own; empty where that is not told, and then all are.
    """

    id: str
    names: tuple[str, ...]
    capabilities: tuple[str, ...]
    takes: tuple[Slot, ...] = ()
    makes: tuple[str, ...] = ()
    replay_safe: bool = False
    deduplicates: bool = False
    available: bool = True
    reason: str = ""
    hint: str = ""
    error_reason: str = ""
    own: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider: known for as long as control remembers it, reachable while it has instances.

    What it says itself of its availability stays while it has none: it cannot run as things are.

    Attributes:
        finds_models: it looks for models that it does not list, where a call names it and them.
    """

    id: str
    names: tuple[str, ...]
    local: bool = True
    available: bool = True
    reason: str = ""
    hint: str = ""
    error_reason: str = ""
    models: tuple[Model, ...] = ()
    instances: tuple[Instance, ...] = ()
    finds_models: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """The whole table.

    Attributes:
        version: grows with every change while control runs.
        epoch: which run of control made it.
        providers: by id.
        control: address of control's services; empty before the first table came.
        asset_store: address of the asset store; empty where there is none.
        capabilities: every name and alias of a capability, with the name that it stands for.
        settled: providers have had time to register; until then an unknown name may still turn up.
        retry_after: seconds after which asking again may help, where something is not there.
        telemetry: control exports spans, so data planes report every call.
    """

    version: int = 0
    epoch: str = ""
    providers: tuple[Provider, ...] = ()
    control: str = ""
    asset_store: str = ""
    capabilities: dict[str, str] = field(default_factory=dict[str, str])
    settled: bool = False
    retry_after: float = 1.0
    telemetry: bool = False

    def with_load(self, load: dict[str, Load]) -> Table:
        """Give the table with the load of some instances changed; providers that have none of them stay the same."""
        return replace(self, providers=tuple(_with_load(provider, load) for provider in self.providers))


def _with_load(provider: Provider, load: dict[str, Load]) -> Provider:
    if not any(instance.instance_id in load for instance in provider.instances):
        return provider
    return replace(provider, instances=tuple(_loaded(instance, load) for instance in provider.instances))


def _loaded(instance: Instance, load: dict[str, Load]) -> Instance:
    return replace(instance, load=load[instance.instance_id]) if instance.instance_id in load else instance


def encode_table(table: Table) -> bytes:
    """Give the line that carries the whole table."""
    return json.dumps(asdict(table), separators=(",", ":")).encode() + b"\n"


def encode_load(load: dict[str, Load]) -> bytes:
    """Give the line that changes the load of some instances."""
    return json.dumps({"load": {key: (one.active, one.queued) for key, one in load.items()}}).encode() + b"\n"


class TableCopy:
    """A data plane's copy of the table.

    When control starts anew it knows nobody at first. Providers that the control before knew stay in the copy until
    they have registered again, or until the table is settled: their instances have most likely not even noticed.
    """

    def __init__(self) -> None:
        self.table = Table()
        self._before: dict[str, Provider] = {}

    def apply(self, line: bytes) -> None:
        """Take one line.

        Raises:
            ValueError: it is not one.
        """
        message: dict[str, Any] = json.loads(line)
        if "load" in message:
            self.table = self.table.with_load({key: Load(*pair) for key, pair in message["load"].items()})
        else:
            fields: dict[str, Any] = {**message, "providers": tuple(_provider(entry) for entry in message["providers"])}
            self.table = self._with_those_before(Table(**fields))

    def control_is_gone(self, retry_after: float) -> None:
        """Go on with what there is: a name that is not in it may come back with control."""
        self.table = replace(self.table, settled=False, retry_after=retry_after)

    def _with_those_before(self, new: Table) -> Table:
        if new.epoch != self.table.epoch:
            self._before = {provider.id: provider for provider in self.table.providers if provider.instances}
        for provider in new.providers:
            if provider.instances:
                self._before.pop(provider.id, None)
        if new.settled:
            self._before.clear()
        others = tuple(provider for provider in new.providers if provider.id not in self._before)
        return replace(new, providers=others + tuple(self._before.values()))


def _provider(entry: dict[str, Any]) -> Provider:
    fields: dict[str, Any] = {**entry, "names": tuple(entry["names"])}
    fields["models"] = tuple(_model(model) for model in entry["models"])
    fields["instances"] = tuple(_instance(instance) for instance in entry["instances"])
    return Provider(**fields)


def _instance(entry: dict[str, Any]) -> Instance:
    fields: dict[str, Any] = {**entry, "load": Load(**entry["load"])}
    return Instance(**fields)


def _model(entry: dict[str, Any]) -> Model:
    fields: dict[str, Any] = dict(entry)
    for key in ("names", "capabilities", "own", "makes"):
        fields[key] = tuple(entry[key])
    fields["takes"] = tuple(Slot(tuple(slot["accepts"]), slot["repeated"]) for slot in entry["takes"])
    return Model(**fields)
