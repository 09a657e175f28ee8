"""Which model a call means, as the gateway resolved it or as the message says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automarket import capabilities
from automarket.errors import CapabilityUnknown, ModelUnknown, ProviderUnknown, TargetMismatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from automarket.v1 import model_pb2
    from provider_servers.runtime.describe import Model, Provider

RESOLVED_MODEL = "automarket-resolved-model"
RESOLVED_PROVIDER = "automarket-resolved-provider"
PREFER = "automarket-prefer"
LOCAL_ONLY = "local-only"


def names(model: Model) -> tuple[str, ...]:
    """Give every name of a model."""
    return tuple(name for name in (model.id, model.canonical_id, *model.aliases) if name)


async def found(provider: Provider, target: model_pb2.Target, metadata: Mapping[str, str]) -> tuple[Model, str]:
    """Give the same as `resolve`; a provider that has more models than it lists is asked for one that it lacks.

    Raises:
        ModelUnknown, CapabilityUnknown, ProviderUnknown: this provider does not have it.
        TargetMismatch: metadata and message disagree.
        AutoMarketError: nobody can tell whether there is such a model.
    """
    try:
        return resolve(provider, target, metadata)
    except ModelUnknown:
        model = await provider.find_model(_agreed(target, metadata)) if provider.finds_models else None
        if model is None:
            raise
        return resolve(provider, target, metadata, (model,))


def resolve(
    provider: Provider, target: model_pb2.Target, metadata: Mapping[str, str], further: Sequence[Model] = ()
) -> tuple[Model, str]:
    """Give the model and the capability that it is asked for as.

    Args:
        provider: who is asked.
        target: what the call asks for.
        metadata: the call's.
        further: models beside those that the provider lists.

    Raises:
        ModelUnknown, CapabilityUnknown, ProviderUnknown: this provider does not have it.
        TargetMismatch: metadata and message disagree.
    """
    wanted = _agreed(target, metadata)
    own_names = (provider.id, *provider.aliases)
    _check_provider(own_names, metadata)
    alternatives = list(_alternatives(target, metadata))
    if not any(name in ("", *own_names) for _, name in alternatives):
        raise ProviderUnknown(f"this is provider {provider.id}, not {target.provider!r}")
    capability = _capability(target) or capabilities.canonical_name(metadata.get("automarket-capability", ""))
    models = [*provider.models(), *further]
    named = [model for model in models if not wanted or wanted in names(model)]
    if not named:
        known = ", ".join(model.id for model in models[:10])
        message = f"provider {provider.id} has no model {wanted!r}"
        raise ModelUnknown(message, hint=f"it has {known}", metadata={"provider": provider.id})
    if metadata.get(RESOLVED_MODEL):
        named = _asked_for(named, [name for name, where in alternatives if where in ("", *own_names)], wanted)
    for model in named:
        for own in model.capabilities:
            if not capability or capabilities.is_a(own, capability) or _clones(model, capability):
                return model, own
    what = f"model {wanted!r}" if wanted else f"provider {provider.id}"
    raise CapabilityUnknown(f"{what} cannot do {capability}", metadata={"provider": provider.id})


def _check_provider(own_names: tuple[str, ...], metadata: Mapping[str, str]) -> None:
    resolved = metadata.get(RESOLVED_PROVIDER, "")
    if resolved and resolved not in own_names:
        raise TargetMismatch(f"the call was meant for provider {resolved!r}, and this is {own_names[0]}")


def _alternatives(target: model_pb2.Target, metadata: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Give model and provider of the target itself, then of each fallback in the message and in call metadata."""
    yield target.model, target.provider
    for fallback in target.preferences.fallbacks:
        yield fallback.model or target.model, fallback.provider
    for word in metadata.get(PREFER, "").split(","):
        if word and word != LOCAL_ONLY:
            model, _, provider = word.rpartition("@")
            yield model or target.model, provider


def _asked_for(models: list[Model], asked: list[str], resolved: str) -> list[Model]:
    """Give those of the resolved models that the message asks for, by whatever name."""
    found = [model for model in models if any(name in ("", *names(model)) for name in asked)]
    if not found:
        raise TargetMismatch(
            f"the gateway resolved model {resolved!r}, the message asks for {asked[0]!r}",
            fields={"target.model": f"differs from metadata {RESOLVED_MODEL} {resolved!r}"},
        )
    return found


def _agreed(target: model_pb2.Target, metadata: Mapping[str, str]) -> str:
    """Give the model's name; the gateway's choice wins where the message leaves one."""
    resolved, asked = metadata.get(RESOLVED_MODEL, ""), metadata.get("automarket-model", "")
    if asked and target.model and asked != target.model:
        raise TargetMismatch(
            f"call metadata asks for model {asked!r}, the message for {target.model!r}",
            fields={"target.model": f"differs from metadata automarket-model {asked!r}"},
        )
    stated = metadata.get("automarket-capability", "")
    if stated and target.capability_name and not _same(stated, target.capability_name):
        raise TargetMismatch(
            f"call metadata asks for {stated!r}, the message for {target.capability_name!r}",
            fields={"target.capability_name": f"differs from metadata automarket-capability {stated!r}"},
        )
    where = metadata.get("automarket-provider", "")
    if where and target.provider and where != target.provider:
        raise TargetMismatch(
            f"call metadata asks for provider {where!r}, the message for {target.provider!r}",
            fields={"target.provider": f"differs from metadata automarket-provider {where!r}"},
        )
    return resolved or target.model or asked


def _same(one: str, other: str) -> bool:
    return capabilities.canonical_name(one) == capabilities.canonical_name(other)


def _capability(target: model_pb2.Target) -> str:
    known = capabilities.by_number(target.capability)
    name = capabilities.canonical_name(target.capability_name) if target.capability_name else ""
    if known and name and known.name != name:
        message = f"the target's capability is {known.name} by number and {name} by name"
        raise TargetMismatch(message, fields={"target.capability_name": f"differs from {known.name}"})
    return name or (known.name if known else "")


def _clones(model: Model, capability: str) -> bool:
    """Tell whether text-to-speech with a voice slot is asked for as voice-cloning."""
    speaks = "text-to-speech" in model.capabilities and any(slot.name == "voice" for slot in model.inputs)
    return capability == "voice-cloning" and speaks
