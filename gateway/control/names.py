"""Names out of descriptors: what a model can do, takes and makes, in the words that routing uses."""

from __future__ import annotations

from automarket import capabilities
from automarket.assets.roles import Role, reachable
from automarket.v1 import capability_pb2, model_pb2
from gateway.relay.table import Slot

VOICE_SLOT = "voice"


def capability_names(model: model_pb2.Model) -> list[str]:
    """Give the names of a model's own capabilities; empty for a reference that says neither number nor name."""
    names: list[str] = []
    for reference in model.capabilities:
        known = capabilities.by_number(reference.capability)
        names.append(known.name if known else capabilities.canonical_name(reference.name) if reference.name else "")
    if "text-to-speech" in names and "voice-cloning" not in names and has_voice_slot(model):
        names.append("voice-cloning")
    return names


def capability_reference(name: str) -> model_pb2.CapabilityRef:
    """Give a capability by name and, where the contract has one, by number."""
    known = capabilities.find(name)
    number = capability_pb2.Capability.ValueType(known.number if known else 0)
    return model_pb2.CapabilityRef(capability=number, name=name)


def has_voice_slot(model: model_pb2.Model) -> bool:
    """Tell whether a model takes a voice sample, which makes text-to-speech voice-cloning as well."""
    return any(
        slot.name == VOICE_SLOT and slot.role in (Role.SPEECH.number, Role.AUDIO.number) for slot in model.inputs
    )


def all_capabilities(model: model_pb2.Model) -> tuple[str, ...]:
    """Give a model's capabilities and everything that they are a kind of."""
    return tuple(dict.fromkeys(name for own in capability_names(model) for name in capabilities.lineage(own)))


def takes(model: model_pb2.Model) -> tuple[Slot, ...]:
    """Give the input slots, each with the roles that it takes as they are or that can be cast to it."""
    return tuple(Slot(_accepted(slot), slot.repeated) for slot in model.inputs)


def _accepted(slot: model_pb2.InputSlot) -> tuple[str, ...]:
    wanted = Role.from_number(slot.role)
    as_they_are = {media_type.partition("/")[0] for media_type in slot.media_types}
    return tuple(str(role) for role in Role if wanted in reachable(role) or role in as_they_are)


def makes(model: model_pb2.Model) -> tuple[str, ...]:
    """Give the roles of a model's outputs; speech is audio too."""
    roles = {role for output in model.outputs if (role := Role.from_number(output.role)) is not None}
    if Role.SPEECH in roles:
        roles.add(Role.AUDIO)
    return tuple(sorted(roles))
