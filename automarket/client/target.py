"""Where a call has to go, as the message's field 1 and as call metadata."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from automarket import capabilities
from automarket.errors import TargetMissing
from automarket.media.wire import roles_to_proto
from automarket.v1 import capability_pb2, media_pb2, model_pb2

if TYPE_CHECKING:
    from automarket.assets.roles import Role


@dataclass(frozen=True, slots=True)
class Fallback:
    """One place to go when the target fails before its first event.

    Attributes:
        model: id, canonical id or alias; empty keeps the target's.
        provider: id or alias; empty lets the mesh choose.
    """

    model: str = ""
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What a call asks for. At least one of capability, model, provider and output role is set.

    Attributes:
        capability: name or alias, e.g. "speech-to-text".
        model: id, canonical id or alias.
        provider: id or alias.
        instance: one instance of that provider.
        input_roles: roles of the inputs, in order; the choice is narrowed to models that take them, casts included.
        output_role: the role that is wanted.
        local_only: never call a remote vendor.
        fallbacks: where else to go, in order; at most 8.
    """

    capability: str = ""
    model: str = ""
    provider: str = ""
    instance: str = ""
    input_roles: tuple[Role, ...] = ()
    output_role: Role | None = None
    local_only: bool = False
    fallbacks: tuple[Fallback, ...] = ()

    def check(self) -> None:
        """Check that something is asked for.

        Raises:
            TargetMissing: nothing is.
        """
        if not (self.capability or self.model or self.provider or self.output_role):
            raise TargetMissing(
                "nothing says what to do with the input",
                hint='name a capability, a model or a provider: capability="speech-to-text"',
            )

    def at(self, instance: str) -> Target:
        """Give the same for one instance."""
        return replace(self, instance=instance)

    def to_proto(self) -> model_pb2.Target:
        """Give the target as the contract writes it."""
        known = capabilities.find(self.capability)
        target = model_pb2.Target(
            capability=capability_pb2.Capability.ValueType(known.number if known else 0),
            capability_name=known.name if known else self.capability,
            model=self.model,
            provider=self.provider,
            instance_id=self.instance,
            input_roles=roles_to_proto(self.input_roles),
            output_role=media_pb2.Role.ValueType(self.output_role.number if self.output_role else 0),
        )
        if self.local_only or self.fallbacks:
            target.preferences.local_only = self.local_only
            for fallback in self.fallbacks:
                target.preferences.fallbacks.add(model=fallback.model, provider=fallback.provider)
        return target

    def to_metadata(self) -> list[tuple[str, str]]:
        """Give the target as call metadata; nothing when its names are not printable ASCII, for field 1 has it too."""
        known = capabilities.find(self.capability)
        values = {
            "automarket-capability": known.name if known else self.capability,
            "automarket-model": self.model,
            "automarket-provider": self.provider,
            "automarket-instance": self.instance,
            "automarket-roles": self._roles(),
            "automarket-prefer": self._preferences(),
        }
        named = [(key, value) for key, value in values.items() if value]
        splits = any("," in fallback.model + fallback.provider for fallback in self.fallbacks)
        plain = all(value.isascii() and value.isprintable() for _, value in named)
        return named if plain and not splits else []

    def _roles(self) -> str:
        return ",".join(self.input_roles) + (f">{self.output_role}" if self.output_role else "")

    def _preferences(self) -> str:
        parts = ["local-only"] if self.local_only else []
        return ",".join([*parts, *(f"{fallback.model}@{fallback.provider}" for fallback in self.fallbacks)])
