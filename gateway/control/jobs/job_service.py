"""JobService over the runner."""

from __future__ import annotations

import base64
import uuid
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from automarket.errors import InvalidRequestError, JobNotEnded, PageTokenInvalid
from automarket.v1 import job_service_pb2 as pb
from automarket.v1.job_service_pb2_grpc import JobServiceServicer
from gateway.control.jobs.states import has_ended
from gateway.control.jobs.store import Filter
from gateway.control.jobs.watching import Following, shown
from gateway.control.jobs.work import Work

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from gateway.control.jobs.intake import Intake
    from gateway.control.jobs.runner import Runner
    from gateway.control.jobs.store import Kept
    from gateway.control.registry import Registry

MAX_PAGE, DEFAULT_PAGE = 1000, 100
MAX_PAGE_BYTES = 3 * 1024 * 1024
"""Of the jobs in one page; a message of the mesh has at most 4 MiB."""


class JobServicer(JobServiceServicer):
    """Answers for all jobs."""

    def __init__(self, runner: Runner, intake: Intake, registry: Registry) -> None:
        self._runner = runner
        self._intake = intake
        self._registry = registry

    async def CreateJob(self, request: pb.CreateJobRequest, context: Any) -> pb.CreateJobResponse:
        """Create a job, or give the one of that request_id."""
        return pb.CreateJobResponse(job=self._shown(await self._intake.create(request)))

    async def GetJob(self, request: pb.GetJobRequest, context: Any) -> pb.GetJobResponse:
        """Describe a job."""
        return pb.GetJobResponse(job=self._shown(await self._runner.find(request.id)))

    async def ListJobs(self, request: pb.ListJobsRequest, context: Any) -> pb.ListJobsResponse:
        """List jobs, newest first, a page at a time."""
        size = min(request.page_size if request.page_size > 0 else DEFAULT_PAGE, MAX_PAGE)
        wanted = Filter(
            states=tuple(request.states),
            provider=self._provider(request.provider_id),
            labels=tuple(request.labels.items()),
            before=_read_token(request.page_token),
            most=size + 1,
        )
        found = await self._runner.store.list(wanted)
        jobs = fitting([self._listed(one) for one in found[:size]])
        token = _make_token(found[len(jobs) - 1].number) if len(found) > len(jobs) else ""
        return pb.ListJobsResponse(jobs=jobs, next_page_token=token)

    def _provider(self, name: str) -> str:
        """Give the id behind a provider's name; one that is not here any more may have jobs."""
        entries = (entry for entry in self._registry.providers() if name in entry.names())
        return next((entry.provider.id for entry in entries), name) if name else ""

    async def CancelJob(self, request: pb.CancelJobRequest, context: Any) -> pb.CancelJobResponse:
        """Ask for a job's end, and wait for it."""
        found = await self._runner.find(request.id)
        if isinstance(found, Work):
            await self._runner.cancel(found)
            await self._runner.until_ended(found)
        return pb.CancelJobResponse(job=found.job)

    async def RetryJob(self, request: pb.RetryJobRequest, context: Any) -> pb.RetryJobResponse:
        """Create a job that does what another one did."""
        found = await self._runner.find(request.id)
        if not has_ended(found.job):
            raise JobNotEnded(f"job {request.id} still runs", hint=f"automarket jobs cancel {request.id}")
        try:
            uuid.UUID(request.request_id)
        except ValueError:
            fields = {"request_id": "a UUID is required"}
            raise InvalidRequestError("the request_id is not a UUID", fields=fields) from None
        again = await self._runner.store.request(found.number)
        again.header.request_id = request.request_id
        return pb.RetryJobResponse(job=self._shown(await self._intake.create(again, retry_of=request.id)))

    async def WatchJob(self, request: pb.WatchJobRequest, context: Any) -> AsyncIterator[pb.WatchJobResponse]:
        """Stream a job's events until its end."""
        found = await self._runner.find(request.id)
        async with aclosing(Following(self._runner, found, request.after).all()) as items:
            async for item in items:
                yield pb.WatchJobResponse(job=item) if isinstance(item, pb.Job) else pb.WatchJobResponse(event=item)

    def _shown(self, job: Kept | Work) -> pb.Job:
        return shown(self._runner, job)

    def _listed(self, kept: Kept) -> pb.Job:
        return shown(self._runner, self._runner.works.get(kept.job.id, kept))


def fitting(jobs: Sequence[pb.Job]) -> Sequence[pb.Job]:
    """Give the first jobs that fit into one message: one of them at least."""
    left = MAX_PAGE_BYTES
    for count, job in enumerate(jobs):
        left -= job.ByteSize()
        if left < 0:
            return jobs[: max(1, count)]
    return jobs


def _make_token(number: int) -> str:
    return base64.urlsafe_b64encode(f"jobs {number}".encode()).decode()


def _read_token(token: str) -> int:
    """Give the number that a page ended with, 0 for the first page."""
    if not token:
        return 0
    try:
        word, number = base64.urlsafe_b64decode(token).decode().split(" ")
        if word == "jobs" and int(number) > 0:
            return int(number)
    except ValueError:
        pass
    raise PageTokenInvalid("the page token is not one that this service gave", hint="ask for the first page")
