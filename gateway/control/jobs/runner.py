"""The runner: begins jobs when it is their turn, keeps what happens, and goes on after any crash.

A job's task holds one place of its provider. Whatever happens is in the database before the runner reads on, so that a
runner that starts anew finds every job where it was. Nothing here looks at the clock while nothing happens.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError, InternalFault, JobCancelled, UnavailableError
from automarket.v1 import job_service_pb2 as pb
from gateway.control.jobs.attempt import Attempt, cancelled
from gateway.control.jobs.lines import Lines
from gateway.control.jobs.places import Places
from gateway.control.jobs.states import end_state, error_to_proto, has_ended, set_time
from gateway.control.jobs.verdict import Verdict, unknown_outcome
from gateway.control.jobs.work import Work
from gateway.relay.choice import AllBusy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.control.jobs.places import Place
    from gateway.control.jobs.settings import JobSettings
    from gateway.control.jobs.store import JobStore, Kept
    from gateway.control.registry import Registry
    from gateway.control.routes import Routes
    from gateway.control.usage.ledger import Ledger

log = logging.getLogger("automarket.control")

LOOK_AGAIN_SECONDS = 30.0
BUSY_SECONDS = 1.0
FIND_TRIES = 100
MORE_ATTEMPTS = 8
"""So many times more attempts has a job that a vendor works on: giving up would lose what was paid."""


class Runner:
    """Runs the jobs of a mesh.

    Args:
        store: where they are kept.
        ledger: where usage is kept.
        registry, routes: who is in the mesh.
        settings: limits.
        ended: called with every job that has ended.
    """

    def __init__(
        self,
        store: JobStore,
        ledger: Ledger,
        registry: Registry,
        routes: Routes,
        *,
        settings: JobSettings,
        ended: Callable[[Work], None] = lambda _: None,
    ) -> None:
        self.store = store
        self.ledger = ledger
        self.settings = settings
        self.places = Places(registry, routes, settings.parallel)
        self.lines = Lines()
        self._registry = registry
        self._ended = ended
        self._works: dict[str, Work] = {}
        self._dispatching: asyncio.TimerHandle | asyncio.Handle | None = None
        self._stop_listening: Callable[[], None] = lambda: None
        self._closed = False

    @property
    def works(self) -> Mapping[str, Work]:
        """The jobs that have not ended, by id."""
        return self._works

    async def start(self) -> None:
        """Take up the jobs that have not ended."""
        self._stop_listening = self._registry.listen(lambda _: self._mesh_changed())
        for kept in await self.store.open_jobs():
            request = await self.store.request(kept.number)
            self.take_up(kept, request.webhook_url)

    async def close(self) -> None:
        """End all calls; the jobs go on when control is back."""
        self._closed = True
        self._stop_listening()
        if self._dispatching is not None:
            self._dispatching.cancel()
        tasks = [work.task for work in self._works.values() if work.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def admit(self, request: pb.CreateJobRequest, job: pb.Job, fingerprint: bytes, line: str = "") -> Kept | Work:
        """Keep a new job and take it up, or give the equal one that is there already.

        What is kept is taken up, even when whoever asked for it has gone away meanwhile.

        Raises:
            RequestIdReused: a job of that id asks for something else.
        """

        async def kept_and_taken_up() -> Kept | Work:
            kept, is_new = await self.store.create(request, job, fingerprint, line)
            return self.take_up(kept, request.webhook_url, line) if is_new else await self.find(kept.job.id)

        return await asyncio.shield(asyncio.ensure_future(kept_and_taken_up()))

    def take_up(self, kept: Kept, webhook: str = "", line: str = "") -> Work:
        """Let a job wait for its turn, in a provider's line."""
        work = Work.of(kept, webhook)
        work.line = work.job.provider_id or line
        self._works[work.job.id] = work
        self.lines.join(work)
        self._dispatch_in(0.0)
        return work

    # --- whose turn it is ---

    def _mesh_changed(self) -> None:
        for line in self.lines.names():
            for work in self.lines.waiting(line):
                if work.blocked is not None:
                    work.due = 0.0
        self._dispatch_in(0.0)

    def _dispatch_in(self, seconds: float) -> None:
        """Look whose turn it is, soon; a look that is due sooner stays."""
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        if isinstance(self._dispatching, asyncio.TimerHandle):
            if self._dispatching.when() <= due:
                return
            self._dispatching.cancel()
        self._dispatching = loop.call_later(seconds, self._dispatch)

    def _dispatch(self) -> None:
        self._dispatching = None
        if self._closed:
            return
        now = time.monotonic()
        soonest = LOOK_AGAIN_SECONDS
        for line in self.lines.names():
            for work in self.lines.waiting(line):
                if line and not self.places.free(line) and not work.is_cancelled:
                    if work.has_begun:  # those that are first in the line; one of them may be to be cancelled
                        continue
                    break
                if work.due <= now and not self._begin(work, now):
                    soonest = min(soonest, BUSY_SECONDS)
                    break
                if work.task is None and work.due > now:
                    soonest = min(soonest, work.due - now)
        if len(self.lines) and (soonest < LOOK_AGAIN_SECONDS or self._anybody_blocked()):
            self._dispatch_in(soonest)

    def _anybody_blocked(self) -> bool:
        return any(work.blocked for line in self.lines.names() for work in self.lines.waiting(line))

    def _begin(self, work: Work, now: float) -> bool:
        """Begin a job if somebody can be asked; False when others have all places of its provider for now."""
        if work.is_cancelled and not work.has_begun:
            self._start(work, None)
            return True
        try:
            place = self.places.find(work)
        except AllBusy:
            return False
        except AutoMarketError as error:
            self._nobody(work, error, now)
            return True
        work.blocked, work.since = None, None
        if place.route.provider_id != work.line:
            self.lines.move(work, place.route.provider_id)
        if self.places.free(work.line) or work.is_cancelled:
            self._start(work, place)
        return True

    def _nobody(self, work: Work, error: AutoMarketError, now: float) -> None:
        """Let a job wait for somebody who can be asked; one that has waited for too long ends."""
        work.since = now if work.since is None else work.since
        if now - work.since > self.settings.wait_seconds:
            self._start(work, None, error)
            return
        work.blocked = error
        soon = not self._registry.settled and error.retry_after is not None
        work.due = now + (error.retry_after or 0.0 if soon else LOOK_AGAIN_SECONDS)  # or when the mesh changes

    def _start(self, work: Work, place: Place | None, error: AutoMarketError | None = None) -> None:
        self.lines.leave(work)
        if place is not None:
            self.places.take(place)
        was_cancelled = work.is_cancelled
        work.task = asyncio.create_task(self._run(work, place, error))
        work.task.add_done_callback(lambda _: self._done(work, place, was_cancelled=was_cancelled))
        self._tell_line(work.line)

    def _done(self, work: Work, place: Place | None, *, was_cancelled: bool) -> None:
        if place is not None:
            self.places.leave(place)
        if work.task is not None and not work.task.cancelled() and (fault := work.task.exception()) is not None:
            log.error("a job's task failed", exc_info=fault, extra={"job": work.job.id})
        work.task = None
        if work.has_ended:
            self._works.pop(work.job.id, None)
        elif not self._closed:
            self.lines.join(work)
            if work.is_cancelled and not was_cancelled:
                self._begin_now(work)
        self._dispatch_in(0.0)

    def _tell_line(self, line: str) -> None:
        """Tell those who watch a waiting job that the line has moved."""
        for work in self.lines.waiting(line):
            if work.watchers:
                work.news.tell()

    # --- a job's task ---

    async def _run(self, work: Work, place: Place | None, error: AutoMarketError | None) -> None:
        """Work on a job until it has ended, or has to wait again."""
        try:
            if place is None:
                await self.end(work, error or JobCancelled("the job was cancelled before it was begun"))
            else:
                await self._attempts(work, place)
        except AutoMarketError as fault:  # the database takes nothing: nothing may go on that is not kept
            log.warning("a job waits for the database", extra={"job": work.job.id, "reason": fault.reason})
            work.due = time.monotonic() + max(5.0, fault.retry_after or 0.0)
        except Exception as fault:
            log.exception("a job failed through a fault of control's own", extra={"job": work.job.id})
            work.due = time.monotonic() + 5.0
            work.strikes += 1
            if work.strikes >= self.settings.max_attempts:
                with suppress(AutoMarketError):
                    await self.end(
                        work, InternalFault(f"control failed through a fault of its own: {type(fault).__name__}")
                    )

    async def _attempts(self, work: Work, place: Place) -> None:
        try:
            place = await self.places.complete(place)
        except AutoMarketError as error:
            await self._judged(work, Verdict(again=isinstance(error, UnavailableError), error=error))
            return
        manner = place.manner
        if work.is_cancelled and not (manner.resumable and work.checkpoint):
            await self.end(work, cancelled(work, place))
            return
        if work.has_begun and not (manner.resumable or manner.harmless):
            await self.end(work, unknown_outcome())  # control, or its database, failed while a call was under way
            return
        request = await self.store.request(work.number)
        attempt = Attempt(work, place, request, self.store, self.ledger)
        verdict = await attempt.run()
        if attempt.was_cut and manner.resumable and work.checkpoint:
            attempt = Attempt(work, place, request, self.store, self.ledger)  # at the same place, to cancel it
            verdict = await attempt.run()
        if verdict is None:
            self._ended(work)
            return
        if attempt.went_on:
            work.strikes = -1
        await self._judged(work, verdict)

    async def _judged(self, work: Work, verdict: Verdict) -> None:
        """End a job whose attempt failed, or let it wait for the next one."""
        work.strikes += 1
        more = MORE_ATTEMPTS if work.checkpoint else 1
        if not verdict.again or work.strikes >= self.settings.max_attempts * more:
            await self.end(work, verdict.error)
            return
        work.due = time.monotonic() + pause(work.strikes, verdict.error)

    async def end(self, work: Work, error: AutoMarketError) -> None:
        """Keep how a job ended, and tell all who wait for it."""
        work.job.state = end_state(error)
        work.job.error.CopyFrom(error_to_proto(error))
        set_time(work.job.end_time, time.time())
        await work.keep(self.store, (), self.ledger.release_in(work.job.id))
        self._ended(work)

    # --- what others ask for ---

    async def find(self, job_id: str) -> Kept | Work:
        """Give a job: as it is worked on, or as it ended.

        Raises:
            JobUnknown: there is none of that id.
        """
        for _ in range(FIND_TRIES):
            if (work := self._works.get(job_id)) is not None:
                return work
            kept = await self.store.get(job_id)
            if has_ended(kept.job):
                return kept
            await asyncio.sleep(0.01)  # it is being taken up, or has just ended
        raise UnavailableError(f"job {job_id} is not taken up yet", hint="try again", retry_after=1.0)

    async def cancel(self, work: Work) -> None:
        """Ask for a job's end; once that is asked for, it is of no account whether the asker waits."""
        if not work.has_ended and not work.is_cancelled:
            await asyncio.shield(asyncio.ensure_future(self._cancel(work)))

    async def _cancel(self, work: Work) -> None:
        work.cut.set()
        if has_ended(work.job):
            return  # its end is being written; should that fail, it is cancelled when it is taken up again
        work.job.state = pb.JOB_STATE_CANCELLING
        try:
            await work.keep(self.store)
        finally:
            if work.task is None and not work.has_ended and not self._closed:
                self._begin_now(work)
                self._dispatch_in(0.0)

    def _begin_now(self, work: Work) -> None:
        """Begin a job that is to be cancelled, wherever it is in its line and however long it was to wait."""
        work.due = 0.0
        self._begin(work, time.monotonic())

    async def until_ended(self, work: Work) -> None:
        """Wait for a job's end."""
        while True:
            next_news = work.news.next
            if work.has_ended:
                return
            await next_news.wait()


def pause(strikes: int, error: AutoMarketError) -> float:
    """Give how long a job waits before it is tried again: what the error says, or longer each time, up to a minute."""
    backoff = min(60.0, 0.25 * 2**strikes) * random.uniform(0.75, 1.25)  # noqa: S311 - spreads attempts, no secret
    return max(backoff, error.retry_after or 0.0)
