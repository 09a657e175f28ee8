"""Adding usage up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from automarket.v1 import usage_service_pb2 as pb

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

_COLUMNS = {
    pb.USAGE_GROUP_PROVIDER: "provider",
    pb.USAGE_GROUP_MODEL: "model",
    pb.USAGE_GROUP_DAY: "strftime('%Y-%m-%d', time / 1000, 'unixepoch')",
}
_FIELDS = {
    pb.USAGE_GROUP_PROVIDER: "provider_id",
    pb.USAGE_GROUP_MODEL: "model_id",
    pb.USAGE_GROUP_DAY: "day",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is added up: from a moment to before another (milliseconds of the epoch), by what, of whom."""

    begin: int
    end: int
    groups: Sequence[pb.UsageGroup.ValueType] = ()
    provider: str = ""
    model: str = ""


def add_up(connection: sqlite3.Connection, wanted: Wanted) -> list[pb.UsageSum]:
    """Give the sums, one for each group, unit and currency, in the order of the groups."""
    columns = [_COLUMNS[group] for group in wanted.groups]
    by = ", ".join([*columns, "unit", "currency"])
    sql = (
        f"SELECT {', '.join([*columns, ''])} unit, currency, COUNT(DISTINCT request_id), SUM(input_units), "  # noqa: S608 - columns of ours
        "SUM(output_units), COALESCE(SUM(cost), 0), COUNT(DISTINCT CASE WHEN cost IS NULL THEN request_id END) "
        "FROM usage WHERE time >= ? AND time < ? AND (? = '' OR provider = ?) AND (? = '' OR model = ?) "
        f"GROUP BY {by} ORDER BY {by}"
    )
    values = (wanted.begin, wanted.end, wanted.provider, wanted.provider, wanted.model, wanted.model)
    return [_sum(row, wanted.groups) for row in connection.execute(sql, values)]


def _sum(row: Sequence[object], groups: Sequence[pb.UsageGroup.ValueType]) -> pb.UsageSum:
    sums = pb.UsageSum()
    for group, value in zip(groups, row, strict=False):
        setattr(sums, _FIELDS[group], value)
    names = ("unit", "currency", "call_count", "input_units", "output_units", "cost", "unpriced_count")
    for name, value in zip(names, row[len(groups) :], strict=True):
        setattr(sums, name, value)
    return sums
