"""Following a job: what was, then what happens, all of it from the database, so that everybody sees the same."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING

from automarket.errors import EventsTrimmed, InvalidRequestError, WatcherTooSlow
from automarket.v1 import job_service_pb2 as pb
from automarket.v1 import transform_pb2
from gateway.control.jobs.states import error_of
from gateway.control.jobs.work import Work

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from gateway.control.jobs.runner import Runner
    from gateway.control.jobs.store import Kept

PAGE = 50
PLACE_SECONDS = 15.0
"""How often the events of a job that waits, and is watched, say its place in the line."""


def shown(runner: Runner, work: Kept | Work) -> pb.Job:
    """Give a job as it is shown: with its place in the line."""
    if not isinstance(work, Work):
        return work.job
    job = pb.Job.FromString(work.written[0])  # what is on the disk; more may be on its way there
    if job.state == pb.JOB_STATE_QUEUED and (place := runner.lines.position(work)) is not None:
        job.queue_position = place
        job.progress.Clear()
        job.progress.phase = "queued"
        job.progress.queue_position = place
        job.progress.message = f"queued, {place} ahead" if work.blocked is None else f"waiting: {work.blocked.message}"
    return job


async def _say_place(runner: Runner, work: Work) -> bool:
    """Say in an event, now and then, where in the line a job waits; tell whether it was said.

    Those who follow a call as a job get events alone. Nobody watches most jobs that wait: they say nothing.
    """
    place = runner.lines.position(work) if work.job.state == pb.JOB_STATE_QUEUED else None
    if place is None or place == work.placed[0] or time.monotonic() < work.placed[1] + PLACE_SECONDS:
        return False
    work.placed = (place, time.monotonic())
    await work.keep(runner.store, [transform_pb2.TransformEvent(progress=shown(runner, work).progress)])
    return True


class Following:
    """One watcher of one job.

    Args:
        runner: works on it.
        found: the job, as `Runner.find` gives it.
        after: number of the last event that the watcher has.
    """

    def __init__(self, runner: Runner, found: Kept | Work, after: int) -> None:
        self._runner = runner
        self._found = found
        self._after = after
        self._slow = runner.settings.slow_seconds
        self._given = time.monotonic()

    async def all(self) -> AsyncGenerator[transform_pb2.TransformEvent | pb.Job]:
        """Give the job, its events, and the job again whenever its state or its place in the line changes.

        Raises:
            EventsTrimmed: events that the watcher lacks are no longer kept.
            WatcherTooSlow: what was given was not taken for too long.
            AutoMarketError: what the job failed with, at its end.
        """
        last = self._found.job.last_sequence
        if self._after < 0 or self._after > last:
            raise InvalidRequestError(f"the job has no event {self._after}", fields={"after": f"0 to {last}"})
        work = self._found if isinstance(self._found, Work) else None
        if work is not None:
            work.watchers += 1
        told = ""
        try:
            while True:
                news = None if work is None else work.news.next
                async with aclosing(self._events()) as events:
                    async for event in events:
                        yield self._give(event)
                        self._check_pace()
                if work is not None and await _say_place(self._runner, work):
                    continue
                job = self._found.job if work is None else shown(self._runner, work)
                if (state := f"{job.state} {job.queue_position}") != told:
                    told = state
                    yield self._give(job)
                    self._check_pace()
                if work is None or (work.has_ended and self._after >= job.last_sequence):
                    break
                if news is not None:
                    await news.wait()
            if (error := error_of(job)) is not None:
                raise error
        finally:
            if work is not None:
                work.watchers -= 1

    def _give(self, item: transform_pb2.TransformEvent | pb.Job) -> transform_pb2.TransformEvent | pb.Job:
        self._given = time.monotonic()
        return item

    def _check_pace(self) -> None:
        if (waited := time.monotonic() - self._given) > self._slow:
            hint = f"watch again from event {self._after}"
            raise WatcherTooSlow(f"the watch was not read for {waited:.0f} s", hint=hint)

    async def _events(self) -> AsyncGenerator[transform_pb2.TransformEvent]:
        """Give the events that are there and were not given yet."""
        while True:
            page = await self._runner.store.events(self._found.number, self._after, PAGE)
            first = page[0].sequence if page else await self._runner.store.oldest(self._found.number)
            if first > self._after + 1:
                raise EventsTrimmed(
                    f"the events up to {first - 1} of job {self._found.job.id} are no longer kept",
                    hint=f"the oldest that is kept is {first}: watch after {first - 1}",
                    metadata={"oldest": str(first)},
                )
            for event in page:
                self._after = event.sequence
                yield event
            if len(page) < PAGE:
                return
