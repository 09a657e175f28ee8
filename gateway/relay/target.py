"""What a call asks for, and what it takes for a model to fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gateway.relay.table import Slot, Table

MAX_FALLBACKS = 8
MAX_ROLES = 256


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


def fit_slots(slots: Iterable[Slot], roles: Iterable[str]) -> bool:
    """Tell whether inputs of these roles can fill the slots, in order; slots may be left out."""
    left = list(slots)
    for role in roles:
        while left and role not in left[0].accepts:
            left.pop(0)
        if not left:
            return False
        if not left[0].repeated:
            left.pop(0)
    return True


def capability_of(table: Table, target: Target) -> str:
    """Give the name that the target's capability stands for, empty when it asks for none."""
    name = _normal(target.capability)
    return table.capabilities.get(name, name)


def _normal(capability: str) -> str:
    return capability.strip().lower().replace("_", "-").replace(" ", "-").removeprefix("capability-")
