"""The states of a job, and failures as they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.rpc import status_pb2

from automarket.errors import AutoMarketError, Code, JobCancelled, JobCancelledLocally
from automarket.rpc.status import from_status, to_status
from automarket.v1 import job_service_pb2 as pb

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

ENDED = frozenset({pb.JOB_STATE_DONE, pb.JOB_STATE_FAILED, pb.JOB_STATE_CANCELLED, pb.JOB_STATE_CANCELLED_LOCALLY})


def has_ended(job: pb.Job) -> bool:
    """Tell whether a job has come to its end."""
    return job.state in ENDED


def error_to_proto(error: AutoMarketError) -> pb.JobError:
    """Give an error as a job keeps it."""
    wire = to_status(error)
    return pb.JobError(
        code=Code(wire.code).name, reason=error.reason, message=wire.message, hint=error.hint or "", status=wire.details
    )


def error_of(job: pb.Job) -> AutoMarketError | None:
    """Give the error that a call would have ended with; None for a job that succeeded or goes on."""
    if job.state == pb.JOB_STATE_DONE or not has_ended(job):
        return None
    if not job.HasField("error"):
        cancelled = JobCancelledLocally if job.state == pb.JOB_STATE_CANCELLED_LOCALLY else JobCancelled
        return cancelled("the job was cancelled", metadata={"job": job.id})
    status = status_pb2.Status.FromString(job.error.status)
    error = from_status(status.code, status.message, job.error.status)
    error.metadata.setdefault("job", job.id)
    return error


def end_state(error: AutoMarketError | None) -> pb.JobState.ValueType:
    """Give the state of a job that ended so."""
    if error is None:
        return pb.JOB_STATE_DONE
    if isinstance(error, JobCancelledLocally):
        return pb.JOB_STATE_CANCELLED_LOCALLY
    return pb.JOB_STATE_CANCELLED if isinstance(error, JobCancelled) else pb.JOB_STATE_FAILED


def set_time(field: Timestamp, seconds: float) -> None:
    """Set a moment, given in seconds of the epoch."""
    field.FromNanoseconds(int(seconds * 1e9))
