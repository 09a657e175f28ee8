"""Jobs: transforms that outlive their callers."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, Any

from automarket.client import event_wire, job_wire, results
from automarket.client.calling import Prepared
from automarket.client.discovery import Discovery
from automarket.client.job_info import JobInfo
from automarket.client.model import take_settings
from automarket.client.patience import Patience
from automarket.client.plan import CallSettings, Plan, used_as
from automarket.client.run import Run, describe
from automarket.client.stream import TransformStream
from automarket.client.target import Target
from automarket.errors import AutoMarketError, WatcherTooSlow
from automarket.v1 import job_service_pb2 as pb
from automarket.v1 import transform_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence

    from opentelemetry.trace import Span

    from automarket.client.assets import AssetClient
    from automarket.client.connection import Connection
    from automarket.client.descriptors import ModelInfo
    from automarket.client.events import Event
    from automarket.client.inputs import InputValue
    from automarket.client.job_info import JobState
    from automarket.client.results import Result
    from automarket.client.target import Fallback

CREATE_SECONDS = 60.0
PATIENCE_SECONDS = 60.0
"""How long a watch tries to go on while the mesh does not answer."""


class Jobs:
    """The jobs of a mesh. Every method that fails raises an AutoMarketError: JobUnknown where there is no such job."""

    def __init__(self, connection: Connection, store: AssetClient) -> None:
        self._connection = connection
        self._store = store

    async def create(
        self,
        *inputs: InputValue,
        capability: str = "",
        model: str = "",
        provider: str = "",
        local_only: bool = False,
        fallbacks: Sequence[Fallback] = (),
        priority: int = 0,
        labels: Mapping[str, str] | None = None,
        webhook_url: str = "",
        **options: Any,
    ) -> JobInfo:
        """Create a job; give it as soon as it waits. Inputs are uploaded first, unless they are short text.

        Args:
            inputs: in slot order; further ones may be named by slot in `options`.
            capability: as in `Mesh.stream`, and so are those up to `fallbacks`.
            model: which model.
            provider: whose.
            local_only: never call a remote vendor.
            fallbacks: where else to go.
            priority: jobs of higher priority are begun first: -100 to 100.
            labels: words of one's own, to find the job by; at most 16, of at most 256 characters each.
            webhook_url: where the mesh POSTs the job when it has ended, signed; https, or http to its own machine.
            options: options of the capability and of the model by name; `request_id` (UUID) becomes the job's id: the
                same one again gives the job that is there.

        Raises:
            RequestIdReused: a job of that id asks for something else.
            JobQueueFull, BudgetExhausted: too many jobs wait, or the budget does not allow it.
            AutoMarketError: the target, an input or an option is wrong.
        """
        settings = take_settings(options)
        target = Target(
            capability=capability, model=model, provider=provider, local_only=local_only, fallbacks=tuple(fallbacks)
        )
        plan = Plan(target, None, inputs, options, results.for_capability, settings)
        with self._connection.errors():
            prepared = await Run(
                self._connection, self._store, plan, settings.request_id or str(uuid.uuid4())
            ).prepared_at_once()
            await self._keep_streams(prepared)
        request = pb.CreateJobRequest(
            target=target.to_proto(),
            header=prepared.header,
            priority=priority,
            labels=labels or {},
            webhook_url=webhook_url,
        )
        answer = await self._connection.ask(self._connection.jobs.CreateJob, request, timeout=CREATE_SECONDS)
        return job_wire.job(answer.job)

    async def _keep_streams(self, prepared: Prepared) -> None:
        """Put into the store what would follow a call as chunks."""
        for number, one in enumerate(prepared.inputs):
            if one.stream is not None:
                asset = await self._store.put_stream(one.stream.pieces())
                declared = prepared.header.inputs[number]
                declared.digest = asset.digest
                declared.media_type = declared.media_type or asset.media_type

    async def get(self, job_id: str) -> JobInfo:
        """Give a job as it is now."""
        answer = await self._connection.ask(self._connection.jobs.GetJob, pb.GetJobRequest(id=job_id))
        return job_wire.job(answer.job)

    async def list(
        self,
        *,
        states: Iterable[JobState] = (),
        provider: str = "",
        labels: Mapping[str, str] | None = None,
        page_size: int = 0,
    ) -> AsyncGenerator[JobInfo]:
        """Give jobs, newest first; every argument that is given narrows them."""
        request = pb.ListJobsRequest(
            states=[job_wire.NUMBERS[state] for state in states],
            provider_id=provider,
            labels=labels or {},
            page_size=page_size,
        )
        while True:
            page = await self._connection.ask(self._connection.jobs.ListJobs, request)
            for one in page.jobs:
                yield job_wire.job(one)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def cancel(self, job_id: str, *, timeout: float = 120.0) -> JobInfo:
        """Ask for a job's end, and wait until it is known how it ended: it may have been too late.

        Raises:
            DeadlineExceeded: it is not known within `timeout` seconds; the job is cancelled all the same.
        """
        request = pb.CancelJobRequest(id=job_id)
        return job_wire.job((await self._connection.ask(self._connection.jobs.CancelJob, request, timeout=timeout)).job)

    async def retry(self, job_id: str, *, request_id: str | None = None) -> JobInfo:
        """Create a new job that does the same as one that has ended; `request_id` (UUID) becomes its id.

        Raises:
            JobNotEnded: the job still runs.
        """
        request = pb.RetryJobRequest(id=job_id, request_id=request_id or str(uuid.uuid4()))
        answer = await self._connection.ask(self._connection.jobs.RetryJob, request, timeout=CREATE_SECONDS)
        return job_wire.job(answer.job)

    async def watch(self, job_id: str, after: int = 0) -> AsyncGenerator[Event | JobInfo]:
        """Give a job and its events, those of the past first, until its end.

        The job itself comes first, and again whenever its state or its place in the line changes. A mesh that goes away
        meanwhile is asked again, so that no event is missed and none comes twice.

        Args:
            job_id: the job.
            after: number (`Event.sequence`) of the last event that one has.

        Raises:
            EventsTrimmed: events after that are no longer kept.
            AutoMarketError: what the job failed with; JobCancelled, JobCancelledLocally.
        """
        patience = Patience(PATIENCE_SECONDS)
        while True:
            try:
                async with contextlib.aclosing(self._watched(job_id, after)) as messages:
                    async for message in messages:
                        patience.renew()
                        if message.HasField("job"):
                            yield job_wire.job(message.job)
                            continue
                        after = message.event.sequence
                        if (event := event_wire.event(message.event)) is not None:
                            yield event
            except WatcherTooSlow:
                continue
            except AutoMarketError as error:
                if "job" in error.metadata:  # the job's own end
                    raise
                await patience.wait(error)
            else:
                return

    async def _watched(self, job_id: str, after: int) -> AsyncGenerator[pb.WatchJobResponse]:
        request = pb.WatchJobRequest(id=job_id, after=after)
        async with contextlib.aclosing(self._connection.follow(self._connection.jobs.WatchJob, request)) as answers:
            async for answer in answers:
                yield answer

    def stream(self, job_id: str) -> TransformStream[Result]:
        """Give a job's events from its first one on, which end in its result; leaving them leaves the job alone."""
        plan = Plan(Target(), None, (), {}, results.for_capability, CallSettings(request_id=job_id))
        return TransformStream(self._connection, self._store, plan, JobRun(self, self._connection, job_id))

    async def result(self, job_id: str) -> Result:
        """Wait for a job's end and give what it made.

        Raises:
            AutoMarketError: what the job failed with; JobCancelled, JobCancelledLocally.
        """
        return await self.stream(job_id).result()


class JobRun:
    """Follows a job as `Run` does a call. `prepared` is set when it is known which model works on the job."""

    def __init__(self, jobs: Jobs, connection: Connection, job_id: str) -> None:
        self._jobs = jobs
        self._connection = connection
        self._job_id = job_id
        self.prepared: Prepared | None = None

    async def events(self, span: Span) -> AsyncGenerator[Event]:
        """Give out what happens."""
        span.set_attribute("automarket.job", self._job_id)
        async with contextlib.aclosing(self._jobs.watch(self._job_id)) as items:
            async for item in items:
                if isinstance(item, JobInfo):
                    await self._know(item)
                else:
                    yield item

    async def _know(self, job: JobInfo) -> None:
        if job.model_id:
            model = await _model_of(self._connection, job)
            header = transform_pb2.TransformHeader(request_id=job.id)
            self.prepared = Prepared(model, used_as(model, job.capability), Target(), header, [])


async def _model_of(connection: Connection, job: JobInfo) -> ModelInfo:
    """Describe the model of a job, whether its provider is there now or not."""
    for model in await Discovery(connection).models(provider=job.provider_id):
        if model.id == job.model_id:
            return model
    return await describe(connection, Target(model=job.model_id, provider=job.provider_id))
