"""Budgets: how much may be spent in a day, a month or in all, by the whole mesh or at one provider.

What calls under way may cost is set aside before they spend anything, so that calls at the same time cannot spend more
than there is where their costs are known beforehand. A cost in another currency than the budget's cannot be compared
with it and counts as unknown.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from automarket.errors import BudgetExhausted
from automarket.v1 import usage_service_pb2 as pb

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

RESERVED_SECONDS = 86_400.0
"""What was set aside longer ago counts no more: its call has come to an end somehow."""

PERIODS = ("day", "month", "total")
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent in a period.

    Attributes:
        limit: in `currency`, an ISO 4217 code.
        period: "day" or "month" in UTC, or "total".
        provider: the id of the provider that it binds; empty is the whole mesh.
    """

    limit: float
    currency: str = "USD"
    period: str = "month"
    provider: str = ""

    def binds(self, provider_id: str) -> bool:
        """Tell whether it holds for a provider."""
        return self.provider in ("", provider_id)

    def began(self, now: float) -> str:
        """Give the first day of the present period."""
        today = datetime.fromtimestamp(now, UTC)
        if self.period == "total":
            return ""
        return today.strftime("%Y-%m-01" if self.period == "month" else "%Y-%m-%d")

    def ends(self, now: float) -> float | None:
        """Give the moment when the present period ends, in seconds of the epoch; None for one that does not."""
        midnight = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if self.period == "total":
            return None
        if self.period == "day":
            return (midnight + timedelta(days=1)).timestamp()
        return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1).timestamp()


def read_budgets(text: str) -> tuple[Budget, ...]:
    """Read budgets: a JSON list of objects with limit, currency, period and provider.

    Raises:
        ValueError: saying what is wrong.
    """
    if not text.strip():
        return ()
    found: Any = json.loads(text)
    if not isinstance(found, list):
        message = "budgets are a JSON list of objects"
        raise ValueError(message)  # noqa: TRY004 - pydantic takes it for what is wrong with the setting
    return tuple(_budget(one) for one in cast("list[Any]", found))


def _budget(entry: Any) -> Budget:
    names = {"limit", "currency", "period", "provider"}
    if not isinstance(entry, dict) or "limit" not in entry or not set(cast("dict[str, Any]", entry)) <= names:
        message = f"a budget has limit, currency, period and provider: {json.dumps(entry)[:200]}"
        raise ValueError(message)
    facts = cast("dict[str, Any]", entry)
    limit = facts["limit"]
    if isinstance(limit, bool) or not isinstance(limit, int | float) or limit < 0:
        message = f"a budget's limit is a number of at least 0, not {json.dumps(limit)[:50]}"
        raise ValueError(message)
    words = {name: str(facts[name]) for name in ("currency", "period", "provider") if name in facts}
    budget = Budget(float(limit), **words)
    if budget.period not in PERIODS:
        message = f"a budget's period is one of {', '.join(PERIODS)}, not {budget.period!r}"
        raise ValueError(message)
    return budget


def spent(connection: sqlite3.Connection, budget: Budget, now: float) -> float:
    """Give what was spent in the present period."""
    sql = "SELECT COALESCE(SUM(cost), 0) FROM spent WHERE currency = ? AND day >= ? AND (? = '' OR provider = ?)"
    values = (budget.currency, budget.began(now), budget.provider, budget.provider)
    return float(connection.execute(sql, values).fetchone()[0])


def reserved(connection: sqlite3.Connection, budget: Budget, now: float, but: str = "") -> float:
    """Give what is set aside for calls under way, `but` for one."""
    sql = (
        "SELECT COALESCE(SUM(cost), 0) FROM reservations "
        "WHERE currency = ? AND made >= ? AND request_id <> ? AND (? = '' OR provider = ?)"
    )
    since = int((now - RESERVED_SECONDS) * 1000)
    values = (budget.currency, since, but, budget.provider, budget.provider)
    return float(connection.execute(sql, values).fetchone()[0])


@dataclass(frozen=True, slots=True)
class Wish:
    """What a call wants to spend.

    Attributes:
        provider_id: where.
        cost: how much, in `currency`; None is not known.
        request_id: the call; what is set aside for it already does not count.
    """

    provider_id: str
    cost: float | None
    currency: str = ""
    request_id: str = ""


def check_budgets(connection: sqlite3.Connection, budgets: Sequence[Budget], wish: Wish, now: float) -> None:
    """Check that every budget allows a call. One of unknown cost is allowed as long as anything is left.

    Raises:
        BudgetExhausted: one does not.
    """
    for budget in budgets:
        if budget.binds(wish.provider_id):
            left = budget.limit - spent(connection, budget, now) - reserved(connection, budget, now, wish.request_id)
            cost = wish.cost if wish.currency == budget.currency else None
            if left <= _ROUNDING if cost is None else cost > left + _ROUNDING:
                raise _exhausted(budget, wish.provider_id, left, cost, now)


def _exhausted(budget: Budget, provider_id: str, left: float, cost: float | None, now: float) -> BudgetExhausted:
    whose = f"of provider {budget.provider}" if budget.provider else "of the mesh"
    period = "in all" if budget.period == "total" else f"a {budget.period}"
    what = "" if cost is None else f"; the call costs {cost:g} {budget.currency}"
    ends = budget.ends(now)
    return BudgetExhausted(
        f"of the budget {whose}, {budget.limit:g} {budget.currency} {period}, {max(0.0, left):g} is left{what}",
        hint="wait for the next period, or raise AUTOMARKET_CONTROL_BUDGETS",
        retry_after=None if ends is None else max(1.0, ends - now),
        metadata={"provider": provider_id, "budget": budget.provider or "mesh"},
    )


def statuses(connection: sqlite3.Connection, budgets: Sequence[Budget], now: float) -> list[pb.BudgetStatus]:
    """Give the budgets, and what is left of them."""
    return [_status(connection, budget, now) for budget in budgets]


def _status(connection: sqlite3.Connection, budget: Budget, now: float) -> pb.BudgetStatus:
    status = pb.BudgetStatus(
        provider_id=budget.provider,
        limit=budget.limit,
        spent=spent(connection, budget, now),
        reserved=reserved(connection, budget, now),
        currency=budget.currency,
        period=budget.period,
    )
    if (ends := budget.ends(now)) is not None:
        status.end_time.FromNanoseconds(int(ends * 1e9))
    return status
