"""Jobs, estimates and usage from the contract's messages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar, cast

from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from automarket import capabilities
from automarket.client import event_wire
from automarket.client import events as e
from automarket.client.job_info import BudgetStatus, CostEstimate, JobInfo, JobState, UsageReport, UsageSum
from automarket.errors import JobCancelled, JobCancelledLocally
from automarket.rpc.status import from_status
from automarket.v1 import job_service_pb2 as pb
from automarket.v1 import transform_pb2

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from automarket.errors import AutoMarketError
    from automarket.v1 import model_pb2, usage_service_pb2

EventT = TypeVar("EventT", bound=e.Event)

_PREFIX = "JOB_STATE_"
_STATES = {
    number: JobState(name.removeprefix(_PREFIX).lower())
    for name, number in pb.JobState.items()
    if name != "JOB_STATE_UNSPECIFIED"
}
NUMBERS = {state: number for number, state in _STATES.items()}


def job(message: pb.Job) -> JobInfo:
    """Give a job."""
    return JobInfo(
        id=message.id,
        state=_STATES.get(message.state, JobState.UNKNOWN),
        capability=_capability(message.target),
        provider_id=message.provider_id,
        model_id=message.model_id,
        priority=message.priority,
        labels=dict(message.labels),
        created=_moment(message.create_time) if message.HasField("create_time") else None,
        started=_moment(message.start_time) if message.HasField("start_time") else None,
        ended=_moment(message.end_time) if message.HasField("end_time") else None,
        queue_position=message.queue_position if message.HasField("queue_position") else None,
        progress=_progress(message) if message.HasField("progress") else None,
        last_sequence=message.last_sequence,
        outputs=tuple(map(_output, message.outputs)),
        usage=tuple(map(_usage, message.usage)),
        estimate=estimate(message.estimate) if message.HasField("estimate") else None,
        error=_error(message),
        attempts=message.attempts,
        retry_of=message.retry_of,
    )


def _capability(target: model_pb2.Target) -> str:
    known = capabilities.by_number(target.capability)
    return target.capability_name or (known.name if known else "")


def _progress(message: pb.Job) -> e.Progress:
    return _event(transform_pb2.TransformEvent(progress=message.progress), e.Progress)


def _output(message: transform_pb2.OutputFinished) -> e.OutputFinished:
    return _event(transform_pb2.TransformEvent(output_finished=message), e.OutputFinished)


def _usage(message: transform_pb2.Usage) -> e.Usage:
    return _event(transform_pb2.TransformEvent(usage=message), e.Usage)


def _event(message: transform_pb2.TransformEvent, _kind: type[EventT]) -> EventT:
    return cast("EventT", event_wire.event(message))


def _error(message: pb.Job) -> AutoMarketError | None:
    if message.HasField("error"):
        try:
            status = status_pb2.Status.FromString(message.error.status)
        except DecodeError:
            status = status_pb2.Status()
        error = from_status(status.code, status.message or message.error.message, message.error.status)
        error.metadata.setdefault("job", message.id)
        return error
    if message.state == pb.JOB_STATE_CANCELLED_LOCALLY:
        return JobCancelledLocally("the job was cancelled")
    return JobCancelled("the job was cancelled") if message.state == pb.JOB_STATE_CANCELLED else None


def _moment(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


def estimate(message: transform_pb2.CostEstimate, provider_id: str = "", model_id: str = "") -> CostEstimate:
    """Give an estimate."""
    return CostEstimate(
        message.cost if message.HasField("cost") else None,
        message.currency,
        message.unit,
        message.units,
        message.source,
        message.at_least,
        provider_id,
        model_id,
    )


def usage(message: usage_service_pb2.GetUsageResponse) -> UsageReport:
    """Give what was used."""
    return UsageReport(tuple(map(_sum, message.sums)), tuple(map(_budget, message.budgets)))


def _sum(message: usage_service_pb2.UsageSum) -> UsageSum:
    return UsageSum(
        message.provider_id,
        message.model_id,
        message.day,
        message.call_count,
        message.unit,
        message.input_units,
        message.output_units,
        message.cost,
        message.currency,
        message.unpriced_count,
    )


def _budget(message: usage_service_pb2.BudgetStatus) -> BudgetStatus:
    return BudgetStatus(
        message.provider_id,
        message.limit,
        message.spent,
        message.reserved,
        message.currency,
        message.period,
        _moment(message.end_time) if message.HasField("end_time") else None,
    )
