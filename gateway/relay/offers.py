"""Who can take calls of a kind, as far as the routing table's names say: found once, kept while these do not change."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.relay.table import FAILED, Model
from gateway.relay.target import capability_of, fit_slots

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.relay.table import Instance, Provider, Table
    from gateway.relay.target import Target

# Callers can make up any number of targets.
_MOST_KEPT: Final = 256


class Offer(NamedTuple):
    """A provider, by its place in the table, and the first of its models that fits."""

    at: int
    model: Model


class Candidate(NamedTuple):
    """An instance that may take a call.

    Attributes:
        limit: calls that it takes, its own waiting line included; infinite where there is no bound.
        places: calls that it works on at the same time, 0 is no bound.
        reported: calls that it has said it has.
    """

    instance_id: str
    limit: float
    places: int
    reported: int
    instance: Instance
    provider: Provider
    model: Model


OfferPools = tuple[tuple[Offer, ...], ...]
Pools = tuple[tuple[Candidate, ...], ...]


class Offers:
    """Finds candidates in pools: what runs here, and vendors, which cost money and come second.

    Models that can do what is asked for come before those that can do a kind of it only: whoever asks for
    video-to-video does not mean to compose. Within each pool, instances that take work at once come before those whose
    backend has to be started first. Those whose backend has failed come last of all.

    What names say is kept while no name changes; what the load says, until a new table comes.
    """

    def __init__(self) -> None:
        self._table: Table | None = None
        self._offers: dict[object, OfferPools] = {}
        self._candidates: dict[object, Pools] = {}

    def find(self, table: Table, target: Target) -> Pools:
        """Give the candidates for a target, in the order of the table."""
        if table is not self._table:
            if self._table is None or not _says_the_same(self._table, table):
                self._offers.clear()
            self._candidates.clear()
            self._table = table
        key = _key(target)
        found = self._candidates.get(key)
        if found is None:
            found = self._find(table, target, key)
            if found:
                self._candidates[key] = found
        return found

    def _find(self, table: Table, target: Target, key: object) -> Pools:
        offers = self._offers.get(key)
        if offers is None:
            offers = _offers(table, target)
            if len(self._offers) >= _MOST_KEPT:
                self._offers.clear()
                self._candidates.clear()
            if offers:
                self._offers[key] = offers
        return _by_standby(tuple(tuple(_candidates(table, target, pool)) for pool in offers))


def _key(target: Target) -> object:
    """Give all of a target but its fallbacks, which are targets themselves."""
    return (
        target.capability,
        target.model,
        target.provider,
        target.instance_id,
        target.input_roles,
        target.output_role,
        target.local_only,
    )


def _says_the_same(before: Table, now: Table) -> bool:
    """Tell whether two tables differ in instances and their load at most. What did not change is the same object."""
    return (
        before.capabilities is now.capabilities
        and len(before.providers) == len(now.providers)
        and all(
            old is new
            or (
                old.names is new.names
                and old.models is new.models
                and old.available == new.available
                and old.local == new.local
                and old.finds_models == new.finds_models
            )
            for old, new in zip(before.providers, now.providers, strict=True)
        )
    )


def _offers(table: Table, target: Target) -> OfferPools:
    places = {provider.id: at for at, provider in enumerate(table.providers)}
    capability = capability_of(table, target)
    pools: tuple[dict[str, Offer], ...] = ({}, {}, {}, {})
    for provider, model in named(table, target):
        if provider.available and model.available and fits(provider, model, target):
            of_a_kind = bool(capability and model.own and capability not in model.own)
            pools[2 * of_a_kind + (not provider.local)].setdefault(provider.id, Offer(places[provider.id], model))
    if not any(pools) and (finder := _finder(table, target)) is not None:
        return ((Offer(places[finder.id], Model(target.model, (target.model,), ())),),)
    return tuple(tuple(pool.values()) for pool in pools if pool)


def _finder(table: Table, target: Target) -> Provider | None:
    """Give the provider that a target names, where it may have the model though nobody lists it."""
    if not target.model or not target.provider:
        return None
    named_so = (one for one in table.providers if target.provider in one.names)
    found = next((one for one in named_so if one.finds_models and one.available), None)
    if found is None or (target.local_only and not found.local):
        return None
    return None if any(target.model in model.names for model in found.models) else found


def _candidates(table: Table, target: Target, pool: tuple[Offer, ...]) -> Iterator[Candidate]:
    for offer in pool:
        provider = table.providers[offer.at]
        for instance in provider.instances:
            if instance.draining or target.instance_id not in ("", instance.instance_id):
                continue
            places, load = instance.max_concurrent, instance.load
            limit = places + instance.max_queued if places else math.inf
            reported = load.active + load.queued
            yield Candidate(instance.instance_id, limit, places, reported, instance, provider, offer.model)


def _by_standby(pools: Pools) -> Pools:
    if not any(one.instance.standby for pool in pools for one in pool):
        return pools
    parts: dict[tuple[bool, int, int], list[Candidate]] = {}
    for number, pool in enumerate(pools):
        for one in pool:
            standby = one.instance.standby
            parts.setdefault((standby == FAILED, number, standby), []).append(one)
    return tuple(tuple(parts[key]) for key in sorted(parts))


def named(table: Table, target: Target) -> Iterator[tuple[Provider, Model]]:
    """Give the models that have the names that a target gives."""
    capability = capability_of(table, target)
    for provider in table.providers:
        if target.provider and target.provider not in provider.names:
            continue
        for model in provider.models:
            if target.model and target.model not in model.names:
                continue
            if not capability or capability in model.capabilities:
                yield provider, model


def fits(provider: Provider, model: Model, target: Target) -> bool:
    """Tell whether a model takes and makes what a target asks for, where it asks for it."""
    if target.local_only and not provider.local:
        return False
    return fit_slots(model.takes, target.input_roles) and (not target.output_role or target.output_role in model.makes)
