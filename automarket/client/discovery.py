"""Asking what the mesh has and how it changes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from automarket.client import wire
from automarket.media.wire import roles_to_proto
from automarket.v1 import discovery_service_pb2 as pb
from automarket.v1 import media_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from automarket.assets.roles import Role
    from automarket.client.connection import Connection
    from automarket.client.descriptors import CapabilityInfo, Change, ModelInfo, ProviderInfo, Route
    from automarket.client.target import Target

PAGE_SIZE = 1000


class Discovery:
    """DiscoveryService as plain values."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def capabilities(self, *, available_only: bool = False) -> list[CapabilityInfo]:
        """List capabilities; with `available_only` those that a model has now."""
        request = pb.ListCapabilitiesRequest(available_only=available_only)
        response = await self._connection.ask(self._connection.discovery.ListCapabilities, request)
        return [wire.capability(one) for one in response.capabilities]

    async def providers(self, *, available_only: bool = False) -> list[ProviderInfo]:
        """List providers; without `available_only` those that cannot run here too, with what would mend it."""
        request = pb.ListProvidersRequest(available_only=available_only)
        response = await self._connection.ask(self._connection.discovery.ListProviders, request)
        return [wire.provider(one) for one in response.providers]

    async def models(
        self,
        *,
        capability: str = "",
        provider: str = "",
        text: str = "",
        input_roles: Iterable[Role] = (),
        output_role: Role | None = None,
        available_only: bool = False,
    ) -> list[ModelInfo]:
        """Find models; every argument that is given narrows the answer.

        Args:
            capability: name or alias; kinds of it count.
            provider: id or alias.
            text: words that name or description have to contain.
            input_roles: roles that the model has to take, casts included, in order.
            output_role: role that the model has to make.
            available_only: leave out models that cannot take work now.

        Raises:
            CapabilityUnknown, ProviderUnknown: nothing has that name.
        """
        request = pb.FindModelsRequest(
            capability=capability,
            provider_id=provider,
            text=text,
            input_roles=roles_to_proto(input_roles),
            output_role=media_pb2.Role.ValueType(output_role.number if output_role else 0),
            available_only=available_only,
            page_size=PAGE_SIZE,
        )
        found: list[ModelInfo] = []
        while True:
            response = await self._connection.ask(self._connection.discovery.FindModels, request)
            found += map(wire.model, response.models)
            if not response.next_page_token:
                return found
            request.page_token = response.next_page_token

    async def resolve(self, target: Target, *, timeout: float | None = None) -> Route:
        """Ask where a call with that target would go, for a direct connection."""
        request = pb.ResolveRequest(target=target.to_proto())
        response = await self._connection.ask(self._connection.discovery.Resolve, request, timeout=timeout)
        return wire.route(response)

    async def watch(self, *, include_models: bool = True) -> AsyncGenerator[Change]:
        """Report everything that is there, then the mark `snapshot_complete`, then every change."""
        request = pb.WatchRequest(include_models=include_models)
        responses = self._connection.follow(self._connection.discovery.Watch, request)
        async with contextlib.aclosing(responses):
            async for response in responses:
                if (change := wire.change(response)) is not None:
                    yield change
