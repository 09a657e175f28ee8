"""Choosing a route: which model of which instance takes a call. Pure functions over the routing table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from automarket.errors import (
    CapabilityUnknown,
    InvalidRequestError,
    ModelUnknown,
    ProviderUnavailable,
    ProviderUnknown,
    TargetMissing,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.relay.table import Instance, Model, Provider, Table


@dataclass(frozen=True, slots=True)
class Target:
    """What a call asks for. Names may be aliases; empty fields ask for nothing.

    Attributes:
        input_roles: roles that the caller has, in slot order.
        fallbacks: (model, provider) pairs to try when the target cannot be had, in order.
    """

    capability: str = ""
    model: str = ""
    provider: str = ""
    instance_id: str = ""
    input_roles: tuple[str, ...] = ()
    output_role: str = ""
    local_only: bool = False
    fallbacks: tuple[tuple[str, str], ...] = ()

    def alternatives(self) -> Iterator[Target]:
        """Give the target itself, then each fallback as a target."""
        yield self
        for model, provider in self.fallbacks:
            yield replace(self, model=model or self.model, provider=provider, instance_id="", fallbacks=())


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
        InvalidRequestError: models have the capability, and none takes or makes what is asked for.
    """
    if not any((target.capability, target.model, target.provider, target.output_role)):
        raise TargetMissing("the call names no capability, model, provider or output role", hint="set request.target")
    first: Exception | None = None
    for alternative in target.alternatives():
        try:
            return _choose(table, alternative, outstanding or {}, avoid)
        except (CapabilityUnknown, ModelUnknown, ProviderUnknown, ProviderUnavailable, InvalidRequestError) as error:
            first = first or error
    raise first or AssertionError("a target has at least itself as an alternative")


def _choose(table: Table, target: Target, outstanding: Mapping[str, int], avoid: frozenset[str]) -> Route:
    fitting = list(_fitting(table, target))
    routes = [
        (_busyness(instance, outstanding), provider.id, model.id, instance)
        for provider, model in fitting
        if provider.available and model.available
        for instance in provider.instances
        if not instance.draining and instance.instance_id not in avoid
        if target.instance_id in ("", instance.instance_id)
    ]
    if not routes:
        raise _nobody(table, target, fitting)
    _, provider_id, model_id, instance = min(routes, key=lambda route: route[:3])
    return Route(provider_id, model_id, instance.instance_id, instance.address)


def _busyness(instance: Instance, outstanding: Mapping[str, int]) -> tuple[bool, float]:
    """Order instances: those with a free place first, then by calls for each place."""
    calls = max(instance.load.active + instance.load.queued, outstanding.get(instance.instance_id, 0))
    places = instance.max_concurrent
    return (bool(places) and calls >= places, calls / (places or 1))


def _fitting(table: Table, target: Target) -> Iterator[tuple[Provider, Model]]:
    capability = table.capabilities.get(_normal(target.capability), _normal(target.capability))
    for provider in table.providers:
        if target.provider and target.provider not in provider.names:
            continue
        if target.local_only and not provider.local:
            continue
        for model in provider.models:
            if target.model and target.model not in model.names:
                continue
            if capability and capability not in model.capabilities:
                continue
            if _takes(model, target.input_roles) and (not target.output_role or target.output_role in model.makes):
                yield provider, model


def _takes(model: Model, roles: tuple[str, ...]) -> bool:
    return all(role in accepted for role, accepted in zip(roles, model.takes, strict=False))


def _normal(capability: str) -> str:
    return capability.strip().lower().replace("_", "-").replace(" ", "-")


def _nobody(table: Table, target: Target, fitting: list[tuple[Provider, Model]]) -> Exception:
    """Say why no instance can take the call: known but not there, not fitting, or not known at all."""
    wait = table.retry_after
    if fitting:
        return _unavailable([provider for provider, _ in fitting], [model for _, model in fitting], target, wait)
    named = [provider for provider in table.providers if not target.provider or target.provider in provider.names]
    if target.provider and not named:
        return _unknown(table, ProviderUnknown, f"no provider is called {target.provider!r}", "automarket providers")
    if target.provider and not any(provider.models for provider in named):
        return _unavailable(named, [], target, wait)
    if target.model and not any(target.model in model.names for provider in named for model in provider.models):
        where = f" at provider {target.provider!r}" if target.provider else ""
        return _unknown(table, ModelUnknown, f"no model is called {target.model!r}{where}", "automarket models")
    name = table.capabilities.get(_normal(target.capability), _normal(target.capability))
    if name and not any(name in model.capabilities for provider in named for model in provider.models):
        return _no_capability(table, target, name)
    asked = f"takes {', '.join(target.input_roles) or 'that'} and makes {target.output_role or 'that'}"
    local = " on this side of the network" if target.local_only else ""
    return InvalidRequestError(f"no fitting model {asked}{local}", hint="automarket models shows what models take")


def _no_capability(table: Table, target: Target, name: str) -> Exception:
    if name not in table.capabilities.values():
        message = f"no capability is called {target.capability!r}"
        return _unknown(table, CapabilityUnknown, message, "automarket capabilities lists them")
    who = (
        f"model {target.model!r}" if target.model else f"provider {target.provider!r}" if target.provider else "nobody"
    )
    verb = "cannot do" if target.model or target.provider else "here can do"
    missing = [provider for provider in table.providers if not provider.available and not provider.models]
    hint = "; ".join(f"{provider.id}: {provider.hint}" for provider in missing if provider.hint)
    return _unknown(table, CapabilityUnknown, f"{who} {verb} {name}", hint or "automarket capabilities lists them")


def _unknown(
    table: Table, cls: type[CapabilityUnknown | ModelUnknown | ProviderUnknown], message: str, hint: str
) -> Exception:
    """Give NOT_FOUND; but while providers are still registering, ask to come back."""
    if table.settled:
        return cls(message, hint=hint)
    return ProviderUnavailable(
        f"{message} yet: the gateway has just started and providers are still registering",
        retry_after=table.retry_after,
        hint="try again",
    )


def _unavailable(providers: list[Provider], models: list[Model], target: Target, wait: float) -> ProviderUnavailable:
    names = ", ".join(sorted({provider.id for provider in providers}))
    metadata = {"provider": names, "model": target.model, "phase": "before the first event"}
    for thing in (*providers, *models):
        if not thing.available:
            return ProviderUnavailable(
                f"{thing.id} cannot take work: {thing.reason}", hint=thing.hint, retry_after=wait, metadata=metadata
            )
    return ProviderUnavailable(
        f"no instance of provider {names} is running now", hint="try again", retry_after=wait, metadata=metadata
    )
