"""RegistryService: one stream an instance, for as long as the instance is there."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from automarket.errors import HeaderMissing, HeaderRepeated, InvalidRequestError, RegistrationInvalid
from automarket.v1 import registry_service_pb2
from automarket.v1.registry_service_pb2_grpc import RegistryServiceServicer
from gateway.control.usage.budgets import Wish
from gateway.control.validation import check, check_update

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.control.entries import InstanceEntry
    from gateway.control.registry import Registry
    from gateway.control.usage.ledger import Ledger

MAX_RECORDS = 1000


class RegistryServicer(RegistryServiceServicer):
    """Takes provider servers into the mesh."""

    def __init__(
        self, registry: Registry, asset_store: registry_service_pb2.AssetStoreLocation | None, ledger: Ledger
    ) -> None:
        self._registry = registry
        self._ledger = ledger
        self._confirmed = registry_service_pb2.RegistrationConfirmed(
            asset_store=asset_store, budgets=bool(ledger.budgets)
        )

    async def ReserveCost(
        self, request: registry_service_pb2.ReserveCostRequest, context: Any
    ) -> registry_service_pb2.ReserveCostResponse:
        """Set aside what a call may cost."""
        cost = request.cost if request.HasField("cost") else None
        await self._ledger.reserve(Wish(request.provider_id, cost, request.currency, request.request_id))
        return registry_service_pb2.ReserveCostResponse()

    async def RecordUsage(
        self, request: registry_service_pb2.RecordUsageRequest, context: Any
    ) -> registry_service_pb2.RecordUsageResponse:
        """Take what calls used."""
        if len(request.records) > MAX_RECORDS:
            message = f"at most {MAX_RECORDS:,} records at a time"
            raise InvalidRequestError(message, fields={"records": "too many"})
        await self._ledger.record(request.records, request.ended_request_ids)
        return registry_service_pb2.RecordUsageResponse()

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
