"""One attempt at a job: a call of a provider, of which everything is kept before the next thing is read."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from automarket.errors import AutoMarketError, InternalFault, JobCancelled, JobCancelledLocally
from automarket.v1 import job_service_pb2 as pb
from automarket.v1 import model_pb2, transform_pb2
from gateway.control.jobs.caller import ProviderCall, is_lost
from gateway.control.jobs.states import end_state, set_time
from gateway.control.jobs.store import Stage
from gateway.control.jobs.texts import Gathering
from gateway.control.jobs.verdict import Verdict, judge

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncGenerator, Callable, Sequence

    from gateway.control.jobs.places import Place
    from gateway.control.jobs.store import JobStore
    from gateway.control.jobs.work import Work
    from gateway.control.usage.ledger import Ledger

LONG_SECONDS = 60.0
"""A call that followed a vendor's work for so long has brought its job further."""


class _Failed(Exception):
    """The call failed; other errors are this process's own."""

    def __init__(self, error: AutoMarketError) -> None:
        super().__init__(str(error))
        self.error = error


class _Cut(Exception):
    """The job's end was asked for."""


class Attempt:
    """One call for a job.

    Attributes:
        was_cut: it ended because the job's end was asked for.
        went_on: it brought the job further.
    """

    def __init__(self, work: Work, place: Place, request: pb.CreateJobRequest, store: JobStore, ledger: Ledger) -> None:
        self._work = work
        self._place = place
        self._store = store
        self._ledger = ledger
        self._cancels = work.is_cancelled
        self._texts = Gathering()
        self._usage = 0
        self._call = ProviderCall(place.route, target_at(request.target, place), self._header(request))
        self._began = time.monotonic()
        self._checkpoint_before = work.checkpoint
        self.was_cut = False

    @property
    def went_on(self) -> bool:
        """Whether it brought the job further: it left a checkpoint that was not there, or followed one for long.

        A checkpoint that was taken back, because the vendor did not take the work, leaves the job where it was.
        """
        checkpoint = self._work.checkpoint
        is_long = time.monotonic() - self._began > LONG_SECONDS
        return bool(checkpoint) and (checkpoint != self._checkpoint_before or is_long)

    def _header(self, request: pb.CreateJobRequest) -> transform_pb2.TransformHeader:
        """Give the header of the call. Only a model that is resumable is told to leave a vendor's work alone."""
        header = transform_pb2.TransformHeader()
        header.CopyFrom(request.header)
        header.outputs_by_digest = True
        if self._place.manner.resumable:
            header.on_loss = transform_pb2.LOSS_ACTION_KEEP
            if self._work.checkpoint:
                header.resume.state = self._work.checkpoint
                header.resume.action = (
                    transform_pb2.RESUME_ACTION_CANCEL if self._cancels else transform_pb2.RESUME_ACTION_CONTINUE
                )
        return header

    async def run(self) -> Verdict | None:
        """Make the call; give None when the job is done, and has been kept as such, else what is to become of it.

        Raises:
            AutoMarketError: what happened could not be kept.
        """
        await self._begin()
        try:
            async with aclosing(self._call.events()) as events:
                await self._follow(events)
        except _Failed as failed:
            return await self._judged(failed.error)
        except _Cut:
            self.was_cut = True
            return Verdict(again=False, error=cancelled(self._work, self._place))
        return None

    async def _begin(self) -> None:
        """Keep that a provider is asked, before it is."""
        work, job = self._work, self._work.job
        work.stage = max(work.stage, Stage.ASKED)
        job.attempts += 1
        job.provider_id, job.model_id = self._place.route.provider_id, self._place.route.model_id
        job.state = pb.JOB_STATE_CANCELLING if work.is_cancelled else pb.JOB_STATE_RUNNING
        if not job.HasField("start_time"):
            set_time(job.start_time, time.time())
        await self._keep()

    async def _judged(self, error: AutoMarketError) -> Verdict:
        await self._keep(self._texts.take())
        work = self._work
        if error.metadata.get("retry") == "other" and work.job.target.preferences.fallbacks and not work.checkpoint:
            work.refused.add((work.job.provider_id, work.job.model_id))
        verdict = judge(
            error,
            self._place.manner,
            lost=is_lost(error),
            was_taken=self._call.was_taken,
            stage=work.stage,
            checkpoint=work.checkpoint,
        )
        if verdict.again and not work.checkpoint and not work.is_cancelled:
            work.stage, work.job.state = Stage.NEW, pb.JOB_STATE_QUEUED  # nothing was spent
            await self._keep()
        return verdict

    async def _follow(self, events: AsyncGenerator[transform_pb2.TransformEvent]) -> None:
        """Keep what happens until the job is done."""
        cut = asyncio.ensure_future(self._work.cut.wait())
        reading: asyncio.Future[Any] | None = None
        watched: set[asyncio.Future[Any]] = set() if self._cancels else {cut}
        try:
            while True:
                reading = reading or asyncio.ensure_future(anext(events, None))
                await asyncio.wait({reading, *watched}, timeout=self._texts.left, return_when=asyncio.FIRST_COMPLETED)
                if cut in watched and cut.done():
                    raise _Cut
                if not reading.done():
                    await self._keep(self._texts.take())
                    continue
                event, reading = self._read(reading), None
                if await self._take(event):
                    return
        finally:
            left: list[asyncio.Future[Any]] = [one for one in (cut, reading) if one is not None]
            for one in left:
                one.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def _read(self, reading: asyncio.Future[Any]) -> transform_pb2.TransformEvent:
        try:
            event: transform_pb2.TransformEvent | None = reading.result()
        except AutoMarketError as error:
            raise _Failed(error) from None
        if event is None:
            raise _Failed(InternalFault("the provider ended the call without saying that it finished"))
        return event

    async def _take(self, event: transform_pb2.TransformEvent) -> bool:
        """Keep an event; tell whether it was the last one."""
        kind = event.WhichOneof("event")
        if kind == "checkpoint":
            await self._checkpoint(event)
        elif kind == "finished":
            await self._finish(event)
            return True
        elif kind is not None and kind != "output_chunk":
            also = self._note(kind, event)
            kept = self._texts.add(event)
            if kept:
                await self._keep(kept, also)
        return False

    async def _checkpoint(self, event: transform_pb2.TransformEvent) -> None:
        work = self._work
        work.checkpoint = event.checkpoint.state
        await self._keep(self._texts.take())
        if self._place.manner.resumable:  # others wait for nothing
            self._call.stored(event.sequence)

    async def _finish(self, event: transform_pb2.TransformEvent) -> None:
        self._work.job.state = end_state(None)
        self._work.job.ClearField("progress")
        set_time(self._work.job.end_time, time.time())
        await self._keep([*self._texts.take(), event], self._ledger.release_in(self._work.job.id))

    def _note(self, kind: str, event: transform_pb2.TransformEvent) -> Callable[[sqlite3.Connection], None] | None:
        """Note in the job what an event says; give what else has to be written."""
        work, job = self._work, self._work.job
        if kind == "accepted":
            work.stage = Stage.ACCEPTED
        elif kind == "progress":
            job.progress.CopyFrom(event.progress)
        elif kind == "output_finished":
            _replace(job, event.output_finished)
        elif kind == "usage":
            if not self._usage:
                del job.usage[:]  # an attempt before this one told the same
            self._usage += 1
            job.usage.append(event.usage)
            return self._ledger.record_in(self._ledger.of_job(job, event, self._usage))
        return None

    async def _keep(
        self,
        events: Sequence[transform_pb2.TransformEvent] = (),
        also: Callable[[sqlite3.Connection], None] | None = None,
    ) -> None:
        await self._work.keep(self._store, events, also)


def cancelled(work: Work, place: Place) -> AutoMarketError:
    """Give what a job ends with that is cancelled without its vendor, who may be at work where it cannot be asked."""
    if place.remote and not place.manner.resumable and work.stage >= Stage.ACCEPTED:
        return JobCancelledLocally("the job was cancelled; the vendor may bill what it had begun")
    return JobCancelled("the job was cancelled")


def target_at(asked: model_pb2.Target, place: Place) -> model_pb2.Target:
    """Give a target without its choice: the model that was chosen."""
    return model_pb2.Target(
        capability=asked.capability,
        capability_name=asked.capability_name,
        model=place.route.model_id,
        provider=place.route.provider_id,
    )


def _replace(job: pb.Job, finished: transform_pb2.OutputFinished) -> None:
    """Note an output; one that was made again takes the place of the first."""
    others = [one for one in job.outputs if one.output != finished.output]
    del job.outputs[:]
    job.outputs.extend(sorted([*others, finished], key=lambda one: one.output))
