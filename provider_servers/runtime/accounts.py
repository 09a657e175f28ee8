"""What calls use, told to the mesh; and whether they may spend, asked of it. Both go to the registries.

Records wait here until they were taken: a registry that is away gets them when it is back. The same record has the same
id however often it is sent, so that it is counted once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError, BudgetExhausted, UnavailableError
from automarket.rpc.channel import errors_mapped, open_channel
from automarket.rpc.telemetry import inject
from automarket.v1 import registry_service_pb2 as pb
from automarket.v1 import usage_service_pb2
from automarket.v1.registry_service_pb2_grpc import RegistryServiceStub

if TYPE_CHECKING:
    import grpc.aio

    from automarket.v1 import transform_pb2
    from automarket.v1.registry_service_pb2_grpc import RegistryServiceAsyncStub

log = logging.getLogger("automarket.provider")

GATHER_SECONDS = 0.25
LAST_DELAY = 5.0
ASK_SECONDS = 10.0
MOST_TOGETHER = 1000
MOST_WAITING = 10_000


@dataclass(slots=True)
class _Book:
    """What one registry has still to be told."""

    channel: grpc.aio.Channel
    budgets: bool = False
    records: list[usage_service_pb2.UsageRecord] = field(default_factory=list[usage_service_pb2.UsageRecord])
    ended: list[str] = field(default_factory=list[str])
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @property
    def stub(self) -> RegistryServiceAsyncStub:
        """Calls of the registry."""
        return RegistryServiceStub(self.channel)


class Accounts:
    """The accounts of one provider server."""

    def __init__(self, provider_id: str) -> None:
        self._provider_id = provider_id
        self._books: dict[str, _Book] = {}

    def confirmed(self, address: str, *, budgets: bool) -> None:
        """Note that a registry has taken this server, and whether its mesh has budgets."""
        book = self._books.get(address)
        if book is None:
            book = self._books[address] = _Book(open_channel(address))
            book.task = asyncio.create_task(self._tell_for_ever(book))
        book.budgets = budgets

    async def close(self) -> None:
        """Tell what is still to be told, for a moment."""
        for book in self._books.values():
            if book.task is not None:
                book.task.cancel()
                await asyncio.gather(book.task, return_exceptions=True)
            with contextlib.suppress(AutoMarketError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._tell(book)
            await book.channel.close()
        self._books.clear()

    @property
    def has_budgets(self) -> bool:
        """Whether a mesh of this server has budgets."""
        return any(book.budgets for book in self._books.values())

    async def reserve(self, request_id: str, model_id: str, estimate: transform_pb2.CostEstimate) -> None:
        """Set aside what a call may cost, before anything is spent.

        Raises:
            BudgetExhausted: a budget does not allow it.
            UnavailableError: the budgets cannot be asked, so nothing may be spent.
        """
        request = pb.ReserveCostRequest(
            request_id=request_id,
            provider_id=self._provider_id,
            model_id=model_id,
            cost=estimate.cost if estimate.HasField("cost") else None,
            currency=estimate.currency,
        )
        for book in [one for one in self._books.values() if one.budgets]:
            try:
                with errors_mapped():
                    await book.stub.ReserveCost(request, metadata=inject(), timeout=ASK_SECONDS)
            except BudgetExhausted:
                raise
            except AutoMarketError as error:
                message = f"the mesh's budgets cannot be asked, so nothing is spent: {error.message}"
                raise UnavailableError(message, hint="try again", retry_after=1.0) from None

    def used(self, request_id: str, number: int, model_id: str, usage: transform_pb2.Usage) -> None:
        """Note what a call used; `number` says which usage of the call it is, from 1."""
        record = usage_service_pb2.UsageRecord(
            id=f"{request_id}:{number}",
            request_id=request_id,
            provider_id=self._provider_id,
            model_id=model_id,
            unit=usage.unit,
            input_units=usage.input_units,
            output_units=usage.output_units,
            cost=usage.cost if usage.HasField("cost") else None,
            currency=usage.currency,
        )
        record.usage_time.GetCurrentTime()
        for book in self._books.values():
            if len(book.records) >= MOST_WAITING:
                log.warning("usage is lost: the registry has taken none for too long")
                del book.records[0]
            book.records.append(record)
            book.wake.set()

    def ended(self, request_id: str) -> None:
        """Note that a call has ended for which something was set aside."""
        for book in self._books.values():
            if book.budgets:
                book.ended.append(request_id)
                book.wake.set()

    async def _tell_for_ever(self, book: _Book) -> None:
        delay = GATHER_SECONDS
        while True:
            await book.wake.wait()
            await asyncio.sleep(delay)  # what comes together is told together
            book.wake.clear()
            try:
                await self._tell(book)
                delay = GATHER_SECONDS
            except AutoMarketError as error:
                log.debug("usage waits for the registry", extra={"reason": error.reason})
                delay = min(delay * 2, LAST_DELAY)
                book.wake.set()

    async def _tell(self, book: _Book) -> None:
        while book.records or book.ended:
            records, ended = book.records[:MOST_TOGETHER], book.ended[:MOST_TOGETHER]
            if len(book.records) > len(records):
                ended = []  # not before their usage
            request = pb.RecordUsageRequest(records=records, ended_request_ids=ended)
            with errors_mapped():
                await book.stub.RecordUsage(request, metadata=inject(), timeout=ASK_SECONDS)
            del book.records[: len(records)], book.ended[: len(ended)]
