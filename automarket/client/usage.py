"""Asking what was used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automarket.client import job_wire
from automarket.client.job_info import UsageBy, UsageReport
from automarket.v1 import usage_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from automarket.client.connection import Connection

_GROUPS = {
    UsageBy.PROVIDER: pb.USAGE_GROUP_PROVIDER,
    UsageBy.MODEL: pb.USAGE_GROUP_MODEL,
    UsageBy.DAY: pb.USAGE_GROUP_DAY,
}


async def get_usage(
    connection: Connection,
    by: Iterable[UsageBy],
    between: tuple[datetime | None, datetime | None],
    provider: str,
    model: str,
) -> UsageReport:
    """Ask what was used, as `Mesh.usage` says."""
    request = pb.GetUsageRequest(
        provider_id=provider, model_id=model, group_by=[_GROUPS[UsageBy(group)] for group in by]
    )
    start, end = between
    if start is not None:
        request.start_time.FromDatetime(start.astimezone())
    if end is not None:
        request.end_time.FromDatetime(end.astimezone())
    return job_wire.usage(await connection.ask(connection.usage.GetUsage, request))
