"""UsageService: what was spent, and what is left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from automarket.errors import InvalidRequestError
from automarket.v1 import usage_service_pb2 as pb
from automarket.v1.usage_service_pb2_grpc import UsageServiceServicer
from gateway.control.usage.sums import Wanted, add_up

if TYPE_CHECKING:
    from gateway.control.registry import Registry
    from gateway.control.usage.ledger import Ledger


class UsageServicer(UsageServiceServicer):
    """Adds up usage."""

    def __init__(self, ledger: Ledger, registry: Registry) -> None:
        self._ledger = ledger
        self._registry = registry

    async def GetUsage(self, request: pb.GetUsageRequest, context: Any) -> pb.GetUsageResponse:
        """Add usage up, and say what is left of the budgets."""
        begin = request.start_time.ToMilliseconds() if request.HasField("start_time") else 0
        end = request.end_time.ToMilliseconds() if request.HasField("end_time") else int(time.time() * 1000) + 1
        if end <= begin:
            fields = {"end_time": "not after start_time"}
            raise InvalidRequestError("the time range is empty", fields=fields)
        groups = list(dict.fromkeys(request.group_by))
        if any(group not in pb.UsageGroup.values()[1:] for group in groups):
            raise InvalidRequestError("usage is added up by provider, model or day", fields={"group_by": "unknown"})
        wanted = Wanted(begin, end, groups, self._provider(request.provider_id), request.model_id)
        sums = await self._ledger.database.run(lambda connection: add_up(connection, wanted))
        return pb.GetUsageResponse(sums=sums, budgets=await self._ledger.statuses())

    def _provider(self, name: str) -> str:
        """Give the id behind a provider's name; one that is not here any more may have been used."""
        entries = (entry for entry in self._registry.providers() if name in entry.names())
        return next((entry.provider.id for entry in entries), name) if name else ""
