"""Health of providers and capabilities by their names, as the routing table shows it (grpc.health.v1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gateway.relay.table import Table


class SetServing(Protocol):
    """Says whether a name takes work."""

    def __call__(self, name: str, *, serving: bool) -> None:
        """Say so."""
        ...


class MeshHealth:
    """Keeps a server's health in step with the routing table."""

    def __init__(self, set_serving: SetServing) -> None:
        self._set_serving = set_serving
        self._told: dict[str, bool] = {}

    def follow(self, table: Table) -> None:
        """Say what differs from what was said before; a name that is gone takes no work."""
        states = {**dict.fromkeys(self._told, False), **serving(table)}
        for name, state in states.items():
            if self._told.get(name) != state:
                self._set_serving(name, serving=state)
        self._told = states


def serving(table: Table) -> dict[str, bool]:
    """Tell for each provider id and each capability name whether somebody takes its calls."""
    states: dict[str, bool] = {}
    for provider in table.providers:
        here = provider.available and any(not instance.draining for instance in provider.instances)
        states[provider.id] = here
        for model in provider.models:
            for name in model.capabilities:
                states[name] = states.get(name, False) or (here and model.available)
    return states
