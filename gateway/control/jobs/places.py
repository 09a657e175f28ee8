"""Places: which provider takes a job, and how many it works on at the same time."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from automarket.rpc.channel import errors_mapped, open_channel
from automarket.rpc.telemetry import inject
from automarket.v1 import model_pb2, model_service_pb2
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from gateway.control.jobs.verdict import Manner
from gateway.relay.balance import Balance
from gateway.relay.choice import choose
from gateway.relay.offers import named
from gateway.relay.target import Target
from gateway.targets import target_from_proto

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automarket.v1.model_service_pb2_grpc import ModelServiceAsyncStub
    from gateway.control.entries import ProviderEntry
    from gateway.control.jobs.work import Work
    from gateway.control.registry import Registry
    from gateway.control.routes import Routes
    from gateway.relay.choice import Route
    from gateway.relay.table import Table

ASK_SECONDS = 10.0
UNBOUNDED = 8
"""Jobs at the same time for a provider that says no number of its own."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place for one job at one instance of a provider.

    Attributes:
        manner: how calls of the model may be repeated.
        remote: the provider is a vendor's.
        model: the model; None for one that the provider does not list and has to be asked for.
    """

    route: Route
    remote: bool
    model: model_pb2.Model | None = None

    @property
    def manner(self) -> Manner:
        """How calls of the model may be repeated."""
        model = self.model or model_pb2.Model()
        return Manner(model.resumable, not self.remote or model.replay_safe or model.deduplicates)


class Places:
    """The places of all providers.

    Args:
        registry, routes: who is in the mesh.
        limits: how many jobs a provider works on at the same time, by its id; others say it themselves.
    """

    def __init__(self, registry: Registry, routes: Routes, limits: Mapping[str, int]) -> None:
        self._registry = registry
        self._routes = routes
        self._limits = limits
        self._balance = Balance()
        self._taken: dict[str, int] = {}
        self._table: Table | None = None

    def table(self) -> Table:
        """Give the routing table; it is made anew when the mesh has changed."""
        if self._table is None or self._table.version != self._registry.version or not self._table.settled:
            self._table = self._routes.table()
            there = {one.instance_id for provider in self._table.providers for one in provider.instances}
            self._balance.forget(there)
        return self._table

    def find(self, work: Work) -> Place:
        """Find a place for a job; one that a vendor works on stays with its model.

        Raises:
            AutoMarketError: nobody can be asked now.
            AllBusy: whoever could is asked by too many.
        """
        target = target_from_proto(work.job.target)
        if work.checkpoint:
            target = Target(model=work.job.model_id, provider=work.job.provider_id)
        refused = frozenset(work.refused)
        return self._place(choose(self.table(), target, self._balance, now=time.monotonic(), refused=refused))

    def route(self, target: model_pb2.Target) -> Place:
        """Say where a job would go.

        Raises:
            AutoMarketError: nobody can be asked now.
        """
        return self._place(choose(self.table(), target_from_proto(target), self._balance, now=time.monotonic()))

    def knows(self, target: model_pb2.Target) -> bool:
        """Tell whether somebody has what is asked for, here now or not."""
        table = self.table()
        return any(any(named(table, one)) for one in target_from_proto(target).alternatives())

    def _place(self, route: Route) -> Place:
        entry = self._registry.provider(route.provider_id)
        model = next((one for one in entry.models if one.id == route.model_id), None)
        return Place(route, entry.provider.kind == model_pb2.PROVIDER_KIND_REMOTE, model)

    async def complete(self, place: Place) -> Place:
        """Ask the provider for a model that it does not list.

        Raises:
            AutoMarketError: it has none, or does not answer.
        """
        if place.model is not None:
            return place
        request = model_service_pb2.GetModelRequest()
        request.target.model, request.target.provider = place.route.model_id, place.route.provider_id
        with errors_mapped({"provider": place.route.provider_id}):
            async with open_channel(place.route.address) as channel:
                stub: ModelServiceAsyncStub = ModelServiceStub(channel)
                answer = await stub.GetModel(request, metadata=inject(), timeout=ASK_SECONDS)
        return replace(place, model=answer.model)

    def free(self, provider_id: str) -> int:
        """Give how many more jobs a provider takes."""
        return self._limit(provider_id) - self._taken.get(provider_id, 0)

    def _limit(self, provider_id: str) -> int:
        if provider_id in self._limits:
            return self._limits[provider_id]
        entry = next((one for one in self._registry.providers() if one.provider.id == provider_id), None)
        return UNBOUNDED if entry is None else _own_limit(entry)

    def take(self, place: Place) -> None:
        """Take a place."""
        provider_id = place.route.provider_id
        self._taken[provider_id] = self._taken.get(provider_id, 0) + 1
        self._balance.begin(place.route.instance_id)

    def leave(self, place: Place) -> None:
        """Give a place back."""
        self._taken[place.route.provider_id] -= 1
        self._balance.end(place.route.instance_id, now=time.monotonic(), seconds=None, failed=False)


def _own_limit(entry: ProviderEntry) -> int:
    """Give how many calls all instances of a provider work on at the same time."""
    each = [one.registration.max_concurrent_calls for one in entry.instances.values() if not one.draining]
    return sum(each) if each and all(each) else UNBOUNDED
