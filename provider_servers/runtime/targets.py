"""Which model a call means, as the gateway resolved it or as the message says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automarket import capabilities
from automarket.errors import CapabilityUnknown, ModelUnknown, ProviderUnknown, TargetMismatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automarket.v1 import model_pb2
    from provider_servers.runtime.describe import Model, Provider


def names(model: Model) -> tuple[str, ...]:
    """Give every name of a model."""
    return tuple(name for name in (model.id, model.canonical_id, *model.aliases) if name)


def resolve(provider: Provider, target: model_pb2.Target, metadata: Mapping[str, str]) -> tuple[Model, str]:
    """Give the model and the capability that it is asked for as.

    Raises:
        ModelUnknown, CapabilityUnknown, ProviderUnknown: this provider does not have it.
        TargetMismatch: metadata and message disagree.
    """
    wanted = _agreed(target, metadata)
    if target.provider and target.provider not in (provider.id, *provider.aliases):
        elsewhere = any(fallback.provider for fallback in target.preferences.fallbacks)
        if not elsewhere:
            raise ProviderUnknown(f"this is provider {provider.id}, not {target.provider!r}")
    capability = _capability(target) or capabilities.canonical_name(metadata.get("automarket-capability", ""))
    models = provider.models()
    named = [model for model in models if not wanted or wanted in names(model)]
    if not named:
        known = ", ".join(model.id for model in models[:10])
        message = f"provider {provider.id} has no model {wanted!r}"
        raise ModelUnknown(message, hint=f"it has {known}", metadata={"provider": provider.id})
    for model in named:
        for own in model.capabilities:
            if not capability or capabilities.is_a(own, capability) or _clones(model, capability):
                return model, own
    what = f"model {wanted!r}" if wanted else f"provider {provider.id}"
    raise CapabilityUnknown(f"{what} cannot do {capability}", metadata={"provider": provider.id})


def _agreed(target: model_pb2.Target, metadata: Mapping[str, str]) -> str:
    """Give the model's name; the gateway's choice wins where the message leaves one."""
    resolved, asked = metadata.get("automarket-resolved-model", ""), metadata.get("automarket-model", "")
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
