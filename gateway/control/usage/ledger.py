"""What was used, as the database keeps it: each record once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from automarket.v1 import usage_service_pb2 as pb
from gateway.control.usage.budgets import RESERVED_SECONDS, Wish, check_budgets, statuses

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence

    from automarket.v1 import job_service_pb2, transform_pb2
    from gateway.control.database import Database
    from gateway.control.usage.budgets import Budget

_INSERT = "INSERT OR IGNORE INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Ledger:
    """The usage of a mesh.

    Args:
        database: where it is kept.
        budgets: what may be spent.
    """

    def __init__(self, database: Database, budgets: Sequence[Budget] = ()) -> None:
        self.database = database
        self.budgets = budgets

    def of_job(self, job: job_service_pb2.Job, event: transform_pb2.TransformEvent, number: int) -> pb.UsageRecord:
        """Give the record of a job's usage, the same as its provider server sends.

        Args:
            job: the job.
            event: what its provider said.
            number: which usage of the call it is, from 1.
        """
        usage = event.usage
        return pb.UsageRecord(
            id=f"{job.id}:{number}",
            request_id=job.id,
            provider_id=job.provider_id,
            model_id=job.model_id,
            usage_time=event.event_time,
            unit=usage.unit,
            input_units=usage.input_units,
            output_units=usage.output_units,
            cost=usage.cost if usage.HasField("cost") else None,
            currency=usage.currency,
        )

    def record_in(self, *records: pb.UsageRecord) -> Callable[[sqlite3.Connection], None]:
        """Give what writes records in somebody's transaction; those that are there already stay."""
        rows = [_row(record) for record in records]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(_INSERT, rows)

        return work

    def release_in(self, *request_ids: str) -> Callable[[sqlite3.Connection], None]:
        """Give what frees, in somebody's transaction, what was set aside for calls that have ended."""

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM reservations WHERE request_id = ?", [(one,) for one in request_ids])

        return work

    async def record(self, records: Iterable[pb.UsageRecord], ended: Iterable[str]) -> None:
        """Take what calls used, and which of them have ended."""
        write, release = self.record_in(*records), self.release_in(*ended)

        def work(connection: sqlite3.Connection) -> None:
            write(connection)
            release(connection)

        await self.database.run(work)

    async def check_budget(self, provider_id: str, estimate: transform_pb2.CostEstimate | None) -> None:
        """Check that the budgets allow a call of a vendor.

        Raises:
            BudgetExhausted: they do not.
        """
        if self.budgets:
            known = estimate if estimate is not None and estimate.HasField("cost") else None
            wish = Wish(provider_id, known.cost, known.currency) if known is not None else Wish(provider_id, None)
            await self._within(wish)

    async def reserve(self, wish: Wish) -> None:
        """Set aside what a call may cost; the same call again changes what is set aside for it.

        Raises:
            BudgetExhausted: the budgets do not allow it.
        """
        await self._within(wish)

    async def _within(self, wish: Wish) -> None:
        def work(connection: sqlite3.Connection) -> None:
            now = time.time()
            check_budgets(connection, self.budgets, wish, now)
            if wish.request_id:
                row = (wish.request_id, wish.provider_id, wish.cost or 0.0, wish.currency, int(now * 1000))
                connection.execute("INSERT OR REPLACE INTO reservations VALUES (?, ?, ?, ?, ?)", row)

        await self.database.run(work)

    async def statuses(self) -> list[pb.BudgetStatus]:
        """Give the budgets, and what is left of them."""
        return await self.database.run(lambda connection: statuses(connection, self.budgets, time.time()))

    async def forget(self, before: float) -> None:
        """Forget what was used before a moment, and what was set aside so long ago that it counts no more."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM usage WHERE time < ?", (int(before * 1000),))
            old = int((time.time() - RESERVED_SECONDS) * 1000)
            connection.execute("DELETE FROM reservations WHERE made < ?", (old,))

        await self.database.run(work)


def _row(record: pb.UsageRecord) -> tuple[object, ...]:
    moment = record.usage_time.ToMilliseconds() if record.HasField("usage_time") else int(time.time() * 1000)
    return (
        record.id,
        record.request_id,
        record.provider_id,
        record.model_id,
        moment,
        record.unit,
        record.input_units,
        record.output_units,
        record.cost if record.HasField("cost") else None,
        record.currency,
    )
