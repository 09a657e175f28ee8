"""Choosing a route: which model of which instance takes a call.

Among the instances that fit, those of models that can do what is asked for come before those that can do a kind of it,
those here before vendors, and those that take work at once before those whose backend has to be started. Then the one
with the fewest calls for each of its places takes the call, then the one that answers sooner, then the one whose turn
it is. Instances that keep failing are passed over while others are left, and so are vendors that asked to wait, be the
others fallbacks.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from automarket.errors import (
    AutoMarketError,
    CapabilityUnknown,
    InvalidRequestError,
    ModelUnknown,
    ProviderUnavailable,
    ProviderUnknown,
    StateError,
    TargetMissing,
)
from gateway.relay.balance import Balance, half_lives
from gateway.relay.offers import Offers, fits, named
from gateway.relay.refusal import nobody

if TYPE_CHECKING:
    from gateway.relay.offers import Candidate
    from gateway.relay.table import Table
    from gateway.relay.target import Target

# After these the target's fallbacks are looked at.
_OTHERS_MAY: Final = (
    CapabilityUnknown,
    ModelUnknown,
    ProviderUnknown,
    ProviderUnavailable,
    StateError,
    InvalidRequestError,
)
_NOTHING_SEEN: Final = Balance()
_OFFERS: Final = Offers()
# Added to the load of an instance without a free place: it comes after every other.
_FULL: Final = 1e9
# Times to the first answer that differ by less than a factor of two, or are all under a millisecond, are the same.
_SHORTEST: Final = -10.0


@dataclass(frozen=True, slots=True)
class Route:
    """Where a call goes.

    Attributes:
        replay_safe: the call may run twice.
        deduplicates: the call may be made twice when it has a request id.
        limit: calls that the instance takes, its own waiting line included; 0 is no bound.
        local: the provider runs models itself, it is no vendor's.
    """

    provider_id: str
    model_id: str
    instance_id: str
    address: str
    replay_safe: bool = False
    deduplicates: bool = False
    limit: int = 0
    local: bool = True


class AllBusy(Exception):
    """Every instance that fits has as many calls of ours as it takes. Never leaves the process.

    Args:
        provider_ids: who may have a place later, what runs here first.
    """

    def __init__(self, provider_ids: tuple[str, ...]) -> None:
        super().__init__(*provider_ids)
        self.provider_ids = provider_ids


class _Past(NamedTuple):
    """What is known of a call that is to be sent somewhere, and of those before it."""

    balance: Balance
    avoid: frozenset[str]
    refused: frozenset[tuple[str, str]]
    now: float


def choose(
    table: Table,
    target: Target,
    balance: Balance | None = None,
    avoid: frozenset[str] = frozenset(),
    now: float = 0.0,
    *,
    refused: frozenset[tuple[str, str]] = frozenset(),
) -> Route:
    """Choose the least loaded instance among those that fit the target, or else its fallbacks in order.

    Args:
        table: what there is.
        target: what the call asks for.
        balance: what the chooser itself has seen of the instances.
        avoid: instances that were tried already.
        now: monotonic seconds.
        refused: providers and models that have refused the call.

    Raises:
        TargetMissing: the target asks for nothing.
        CapabilityUnknown, ModelUnknown, ProviderUnknown: nobody has it.
        ProviderUnavailable: it is known, and nobody can take the call now.
        StateError: it is known, and cannot run here before something is done.
        InputUnsuitable, InvalidRequestError: models have the names, and none takes or makes what is asked for.
        AllBusy: a place has to become free first.
    """
    if not any((target.capability, target.model, target.provider, target.output_role)):
        raise TargetMissing("the call names no capability, model, provider or output role", hint="set request.target")
    past = _Past(balance or _NOTHING_SEEN, avoid, refused, now)
    if resting := past.balance.resting(now):
        with suppress(*_OTHERS_MAY):  # rather one that rests than none: it says itself how long it does
            return _first(table, target, past._replace(refused=refused | resting))
    return _first(table, target, past)


def _first(table: Table, target: Target, past: _Past) -> Route:
    first: AutoMarketError | None = None
    busy: AllBusy | None = None
    for alternative in target.alternatives():
        try:
            return _choose(table, alternative, past)
        except AllBusy as error:
            busy = busy or error
        except _OTHERS_MAY as error:
            first = first or error
    raise busy or first or AssertionError("a target has at least itself as an alternative")


def _choose(table: Table, target: Target, past: _Past) -> Route:
    balance, avoid, refused, now = past
    ejected = balance.ejected(now)
    full: dict[str, None] = {}
    for candidates in _OFFERS.find(table, target):
        pool = candidates
        if refused:
            pool = tuple(one for one in candidates if (one.provider.id, one.model.id) not in refused)
        out = _passed_over(pool, balance, ejected) if ejected else ejected
        found = _least_loaded(pool, balance, avoid | out, now, full)
        if found is None and not full and out:  # all others were tried
            found = _least_loaded(pool, balance, avoid, now, full)
        if found is not None:
            return _route(found)
    if full:
        raise AllBusy(tuple(full))
    pairs = list(named(table, target))
    fitting = [(provider, model) for provider, model in pairs if fits(provider, model, target)]
    raise nobody(table, target, pairs, fitting)


def _passed_over(pool: tuple[Candidate, ...], balance: Balance, ejected: frozenset[str]) -> frozenset[str]:
    providers = {one.provider.id: one.provider for one in pool}.values()
    return frozenset[str]().union(
        *(balance.passed_over([one.instance_id for one in each.instances], ejected) for each in providers)
    )


def _least_loaded(
    pool: tuple[Candidate, ...], balance: Balance, avoid: frozenset[str], now: float, full: dict[str, None]
) -> Candidate | None:
    """Give the best candidate; add providers of those that take no more to `full`. This runs for every call."""
    found: Candidate | None = None
    least, shortest, longest_ago = math.inf, 0, 0
    standings, passed = balance.standings, half_lives(now)
    for one in pool:
        name, limit, places, calls, _, provider, _ = one
        if name in avoid:
            continue
        standing = standings.get(name)
        own, fading, turn = (
            (0, -math.inf, 0) if standing is None else (standing.outstanding, standing.fading, standing.last_begun)
        )
        if own >= limit:
            full[provider.id] = None
            continue
        load = max(own, calls)
        if places:
            load = load / places + (_FULL if load >= places else 0)
        if load > least:
            continue
        latency = int(max(_SHORTEST, fading - passed))
        if load < least or (latency, turn) < (shortest, longest_ago):
            found, least, shortest, longest_ago = one, load, latency, turn
    return found


def _route(found: Candidate) -> Route:
    instance, model = found.instance, found.model
    return Route(
        provider_id=found.provider.id,
        model_id=model.id,
        instance_id=found.instance_id,
        address=instance.address,
        replay_safe=model.replay_safe,
        deduplicates=model.deduplicates,
        limit=instance.max_concurrent + instance.max_queued if instance.max_concurrent else 0,
        local=found.provider.local,
    )
