"""RegistryService: one stream an instance, for as long as the instance is there."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from automarket.errors import HeaderMissing, HeaderRepeated, RegistrationInvalid
from automarket.v1 import registry_service_pb2
from automarket.v1.registry_service_pb2_grpc import RegistryServiceServicer
from gateway.control.validation import check, check_update

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.control.entries import InstanceEntry
    from gateway.control.registry import Registry


class RegistryServicer(RegistryServiceServicer):
    """Takes provider servers into the mesh."""

    def __init__(self, registry: Registry, asset_store: registry_service_pb2.AssetStoreLocation | None) -> None:
        self._registry = registry
        self._confirmed = registry_service_pb2.RegistrationConfirmed(asset_store=asset_store)

    async def Register(
        self, request_iterator: Any, context: Any
    ) -> AsyncIterator[registry_service_pb2.RegisterResponse]:
        """Register one instance until its stream ends."""
        first = await anext(request_iterator, None)
        if first is None or not first.HasField("registration"):
            raise HeaderMissing("the first message is not a registration")
        # Checking thousands of schemas takes seconds, which calls under way do not have.
        await asyncio.to_thread(check, first.registration)
        instance = self._registry.add(first.registration)
        try:
            yield registry_service_pb2.RegisterResponse(confirmed=self._confirmed)
            await self._follow(request_iterator, instance)
        finally:
            self._registry.remove(instance)

    async def _follow(self, requests: Any, instance: InstanceEntry) -> None:
        """Take updates until the stream ends, here or there."""
        ended = asyncio.create_task(instance.ended.wait())
        try:
            while True:
                reading = asyncio.ensure_future(anext(requests, None))
                await asyncio.wait({reading, ended}, return_when=asyncio.FIRST_COMPLETED)
                if instance.reason is not None:
                    reading.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await reading
                    raise instance.reason
                message = reading.result()
                if message is None:
                    return
                await self._take(message, instance)
        finally:
            ended.cancel()

    async def _take(self, message: registry_service_pb2.RegisterRequest, instance: InstanceEntry) -> None:
        kind = message.WhichOneof("message")
        if kind == "registration":
            raise HeaderRepeated("the instance is registered already; later messages are updates")
        if kind is None:
            raise RegistrationInvalid("the message is empty", fields={"message": "required"})
        if message.update.HasField("models"):
            provider_id = instance.registration.provider.id
            await asyncio.to_thread(check_update, message.update.models.models, provider_id)
        self._registry.update(instance, message.update)
