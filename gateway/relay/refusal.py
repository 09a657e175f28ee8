"""Saying why no instance can take a call: known but not there, not fitting, or not known at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from automarket.errors import (
    BY_REASON,
    AutoMarketError,
    CapabilityUnknown,
    InputUnsuitable,
    InvalidRequestError,
    ModelUnknown,
    ProviderUnavailable,
    ProviderUnknown,
    ProviderUnusable,
    StateError,
)
from gateway.relay.target import capability_of, fit_slots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.relay.table import Model, Provider, Table
    from gateway.relay.target import Target

_MOST_TOLD: Final = 3
Pairs = list[tuple["Provider", "Model"]]


def nobody(table: Table, target: Target, named: Pairs, fitting: Pairs) -> AutoMarketError:
    """Give the error for a call that no instance can take.

    Args:
        table: what there is.
        target: what the call asks for.
        named: what has the names that the target gives.
        fitting: what takes and makes what the target asks for, too.
    """
    if fitting:
        return _not_there(table, target, fitting)
    if named:
        return _unfit([model for _, model in named], target)
    providers = [provider for provider in table.providers if not target.provider or target.provider in provider.names]
    if target.provider and not providers:
        return _unknown(table, ProviderUnknown, f"no provider is called {target.provider!r}", "automarket providers")
    if target.provider and not any(provider.models for provider in providers):
        return _unavailable([(provider, None) for provider in providers], target, table.retry_after)
    return _no_such_model(table, target, providers)


def _not_there(table: Table, target: Target, fitting: Pairs) -> AutoMarketError:
    instances = {instance.instance_id for provider, _ in fitting for instance in provider.instances}
    if instances and target.instance_id and target.instance_id not in instances:
        message = f"no instance is called {target.instance_id!r}"
        return _unknown(table, ProviderUnknown, message, "automarket providers lists them")
    return _unavailable(fitting, target, table.retry_after)


def _no_such_model(table: Table, target: Target, providers: list[Provider]) -> AutoMarketError:
    if target.model and not any(target.model in model.names for provider in providers for model in provider.models):
        where = f" at provider {target.provider!r}" if target.provider else ""
        return _unknown(table, ModelUnknown, f"no model is called {target.model!r}{where}", "automarket models")
    if name := capability_of(table, target):
        return _no_capability(table, target, name)
    return _unknown(table, CapabilityUnknown, "the mesh has no model yet", "automarket providers")


def _unfit(models: list[Model], target: Target) -> AutoMarketError:
    """Say why none of the models that have the names is right for the call."""
    what = target.model or target.capability or target.provider
    who = f"no model of {what}" if what else "no model"
    fitting = [model for model in models if fit_slots(model.takes, target.input_roles)]
    if not fitting:
        taken = sorted({" and ".join("/".join(slot.accepts) for slot in model.takes) or "nothing" for model in models})
        given = " and ".join(target.input_roles)
        return InputUnsuitable(f"{who} takes {given}", hint=f"it takes {', or '.join(taken)}" if what else None)
    if target.output_role and not any(target.output_role in model.makes for model in fitting):
        makes = sorted({role for model in fitting for role in model.makes})
        return InvalidRequestError(f"{who} makes {target.output_role}", hint=f"it makes {', '.join(makes)}")
    return InvalidRequestError(f"{who} runs here, and the call asks for local ones only", hint="allow remote vendors")


def _no_capability(table: Table, target: Target, name: str) -> AutoMarketError:
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
) -> AutoMarketError:
    """Give NOT_FOUND; but while providers are still registering, ask to come back."""
    if table.settled:
        return cls(message, hint=hint)
    return ProviderUnavailable(
        f"{message} yet: the gateway has just started and providers are still registering",
        retry_after=table.retry_after,
        hint="try again",
    )


def _unavailable(found: Sequence[tuple[Provider, Model | None]], target: Target, wait: float) -> AutoMarketError:
    """Say why nobody of those that are known takes the call: none is running now, or none can run as things are."""
    metadata = {"model": target.model, "phase": "before the first event"}
    lacking = [_lacking(provider, model) for provider, model in found]
    ids = {provider.id for (provider, _), lack in zip(found, lacking, strict=True) if lack is None}
    if not ids:
        metadata["provider"] = ", ".join(sorted({provider.id for provider, _ in found}))
        return unusable(list(dict.fromkeys(lack for lack in lacking if lack is not None)), metadata)
    names = metadata["provider"] = ", ".join(sorted(ids))
    return ProviderUnavailable(
        f"no instance of provider {names} is running now", hint="try again", retry_after=wait, metadata=metadata
    )


def _lacking(provider: Provider, model: Model | None) -> Lack | None:
    """Give what says that it is not available; None when nothing does."""
    thing = provider if model is None or not provider.available else model
    return None if thing.available else Lack(thing.id, thing.reason, thing.hint, thing.error_reason)


class Lack(NamedTuple):
    """Why something cannot take work, and what mends it, as it says itself."""

    id: str
    reason: str
    hint: str
    error_reason: str


def unusable(lacking: Sequence[Lack], metadata: dict[str, str]) -> StateError:
    """Give the error for a call to what cannot run here: of the class that the first one names."""
    named = BY_REASON.get(lacking[0].error_reason, ProviderUnusable)
    cls = named if issubclass(named, StateError) and named.code == StateError.code else ProviderUnusable
    told = lacking[:_MOST_TOLD]
    message = "; ".join(f"{one.id} cannot take work: {one.reason}" if one.reason else one.id for one in told)
    hints = dict.fromkeys(one.hint for one in told if one.hint)
    return cls(message, hint="; or ".join(hints) or None, metadata=metadata)
