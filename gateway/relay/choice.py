"""Choosing a route: which model of which instance takes a call. Pure functions over the routing table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from automarket.errors import (
    AutoMarketError,
    CapabilityUnknown,
    InvalidRequestError,
    ModelUnknown,
    ProviderUnavailable,
    ProviderUnknown,
    TargetMissing,
)
from gateway.relay.refusal import nobody
from gateway.relay.target import capability_of, fit_slots

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.relay.table import Instance, Model, Provider, Table
    from gateway.relay.target import Target


@dataclass(frozen=True, slots=True)
class Route:
    """Where a call goes."""

    provider_id: str
    model_id: str
    instance_id: str
    address: str


def choose(
    table: Table, target: Target, outstanding: Mapping[str, int] | None = None, avoid: frozenset[str] = frozenset()
) -> Route:
    """Choose the least loaded instance among those that fit the target.

    Args:
        table: what there is.
        target: what the call asks for.
        outstanding: calls that the chooser itself has under way, by instance id.
        avoid: instances that were tried already.

    Raises:
        TargetMissing: the target asks for nothing.
        CapabilityUnknown, ModelUnknown, ProviderUnknown: nobody has it.
        ProviderUnavailable: it is known, and nobody can take the call now.
        InputUnsuitable, InvalidRequestError: models have the names, and none takes or makes what is asked for.
    """
    if not any((target.capability, target.model, target.provider, target.output_role)):
        raise TargetMissing("the call names no capability, model, provider or output role", hint="set request.target")
    first: AutoMarketError | None = None
    for alternative in target.alternatives():
        try:
            return _choose(table, alternative, outstanding or {}, avoid)
        except (CapabilityUnknown, ModelUnknown, ProviderUnknown, ProviderUnavailable, InvalidRequestError) as error:
            first = first or error
    raise first or AssertionError("a target has at least itself as an alternative")


def _choose(table: Table, target: Target, outstanding: Mapping[str, int], avoid: frozenset[str]) -> Route:
    named = list(_named(table, target))
    fitting = [(provider, model) for provider, model in named if _fits(provider, model, target)]
    routes = [
        # Vendors cost money: what runs here comes first. Among equals the least busy, then the model named first.
        ((not provider.local, *_busyness(instance, outstanding), number), provider.id, model.id, instance)
        for number, (provider, model) in enumerate(fitting)
        if provider.available and model.available
        for instance in provider.instances
        if not instance.draining and instance.instance_id not in avoid
        if target.instance_id in ("", instance.instance_id)
    ]
    if not routes:
        raise nobody(table, target, named, fitting)
    _, provider_id, model_id, instance = min(routes, key=lambda route: route[0])
    return Route(provider_id, model_id, instance.instance_id, instance.address)


def _busyness(instance: Instance, outstanding: Mapping[str, int]) -> tuple[bool, float]:
    """Order instances: those with a free place first, then by calls for each place."""
    calls = max(instance.load.active + instance.load.queued, outstanding.get(instance.instance_id, 0))
    places = instance.max_concurrent
    return (bool(places) and calls >= places, calls / (places or 1))


def _named(table: Table, target: Target) -> Iterator[tuple[Provider, Model]]:
    capability = capability_of(table, target)
    for provider in table.providers:
        if target.provider and target.provider not in provider.names:
            continue
        for model in provider.models:
            if target.model and target.model not in model.names:
                continue
            if not capability or capability in model.capabilities:
                yield provider, model


def _fits(provider: Provider, model: Model, target: Target) -> bool:
    if target.local_only and not provider.local:
        return False
    return fit_slots(model.takes, target.input_roles) and (not target.output_role or target.output_role in model.makes)
