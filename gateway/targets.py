"""Targets of the contract as the values that routes are chosen by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automarket import capabilities
from automarket.assets.roles import Role
from automarket.errors import TargetMismatch
from gateway.relay.target import Target

if TYPE_CHECKING:
    from automarket.v1 import model_pb2


def target_from_proto(target: model_pb2.Target) -> Target:
    """Give the target of a message.

    Raises:
        TargetMismatch: number and name of the capability differ.
    """
    known = capabilities.by_number(target.capability)
    name = target.capability_name or (known.name if known else "")
    if known is not None and capabilities.canonical_name(name) != known.name:
        message = f"the target's capability is {known.name} by number and {name} by name"
        raise TargetMismatch(message, fields={"target.capability_name": f"differs from {known.name}"})
    output = Role.from_number(target.output_role)
    return Target(
        capability=name,
        model=target.model,
        provider=target.provider,
        instance_id=target.instance_id,
        input_roles=tuple(str(role) for number in target.input_roles if (role := Role.from_number(number))),
        output_role=str(output) if output else "",
        local_only=target.preferences.local_only,
        fallbacks=tuple((fallback.model, fallback.provider) for fallback in target.preferences.fallbacks),
    )
