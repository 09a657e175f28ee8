"""One call at a vendor, from its input to what it made: see the package's docstring."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from automarket.errors import AutoMarketError, JobCancelled, JobCancelledLocally, OutcomeUnknown, OutputExpired
from provider_servers.runtime.call import ResumeAction
from provider_servers.runtime.events import Checkpoint, Progress
from provider_servers.runtime.remote.collecting import Collector
from provider_servers.runtime.remote.job import Cancel, Phase
from provider_servers.runtime.remote.patience import persisting
from provider_servers.runtime.remote.states import Stage, State, read_state
from provider_servers.runtime.remote.submitting import Submitter
from provider_servers.runtime.remote.vendor_api import Unanswered

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from provider_servers.runtime.call import Call
    from provider_servers.runtime.events import Event
    from provider_servers.runtime.remote.desk import Desk
    from provider_servers.runtime.remote.job import RemoteJob, Status, Ticket

log = logging.getLogger("automarket.provider")


async def follow(call: Call, job: RemoteJob, desk: Desk) -> AsyncGenerator[Event]:
    """Run a call at a vendor, or go on with one; give its events.

    Raises:
        AutoMarketError: it failed.
    """
    following = _Following(call, job, desk)
    try:
        async with aclosing(following.events()) as events:
            async for event in events:
                yield event
    except OutcomeUnknown:
        raise  # a repeat would be another purchase
    except AutoMarketError as error:
        following.failed(error)
        raise
    finally:
        await following.leave()


class _Following:
    """One call on its way."""

    def __init__(self, call: Call, job: RemoteJob, desk: Desk) -> None:
        self._call = call
        self._job = job
        self._desk = desk
        self._waits = desk.waits
        self._submitter = Submitter(call, job, desk)
        self._ticket: Ticket | None = None
        self._submitting: asyncio.Task[Ticket] | None = None
        self._collector: Collector | None = None
        self._is_done = False
        self._lines_seen = 0
        self._told: tuple[Any, ...] = ()

    async def events(self) -> AsyncGenerator[Event]:
        beginning = self._begin() if self._call.resume is None else self._go_on()
        async with aclosing(beginning) as events:
            async for event in events:
                yield event
        async with aclosing(self._wait()) as events:
            async for event in events:
                yield event
        self._collector = Collector(self._call, self._job, self._desk, self._ticket or {})
        async with aclosing(self._collector.events()) as events:
            async for event in events:
                yield event

    def failed(self, error: AutoMarketError) -> None:
        """Take note that the call has failed: a repeat of it begins anew, unless what was paid for is still there."""
        has_work = self._submitting is not None or self._ticket is not None  # else it belongs to another call
        is_there = self._collector is not None and self._collector.has_result and not isinstance(error, OutputExpired)
        if has_work and not is_there:
            self._desk.forget(self._call.request_id)

    # --- submitting ---

    async def _begin(self) -> AsyncGenerator[Event]:
        await self._job.prepare()
        state = State(Stage.SUBMITTING, self._call.model.id, remembered=self._job.remembered())
        if self._call.keeps:
            yield Checkpoint(state.write())
        self._submitting = self._submitter.begin(state)
        try:
            self._ticket = await asyncio.shield(self._submitting)
        except OutcomeUnknown:
            raise
        except AutoMarketError:
            if self._call.keeps:
                yield Checkpoint(b"")  # it was not taken: whoever comes back begins anew
            raise
        yield Checkpoint(replace(state, stage=Stage.SUBMITTED, ticket=self._ticket).write())

    # --- going on ---

    async def _go_on(self) -> AsyncGenerator[Event]:
        resume = self._call.resume
        assert resume is not None  # noqa: S101 - that is what brought us here
        state = read_state(resume.state, self._call.model.id)
        self._ticket = state.ticket
        if state.stage is Stage.SUBMITTING:
            self._ticket = await self._submitter.recalled(state)
            yield Checkpoint(replace(state, stage=Stage.SUBMITTED, ticket=self._ticket).write())
        if resume.action is ResumeAction.CANCEL:
            await self._cancel(self._ticket)

    async def _cancel(self, ticket: Ticket) -> None:
        """Cancel the work; return where it was too late, or where its end has to tell.

        Raises:
            JobCancelled, JobCancelledLocally
        """
        answered = await persisting(lambda: self._job.cancel(ticket), self._waits)
        facts = {"model": self._call.model.id, "phase": "cancelling"}
        name = self._desk.name
        if answered is Cancel.TAKEN:
            self._is_done = True
            raise JobCancelled(f"the call was cancelled at {name}", metadata=facts)
        if answered in (Cancel.NONE, Cancel.UNKNOWN):
            if answered is Cancel.NONE and await self._is_over(ticket):
                return  # what was paid for is there
            self._is_done = True
            why = "has no cancel" if answered is Cancel.NONE else "knows nothing of it"
            message = f"the call was cancelled here; {name} {why}, so what it charges stands"
            raise JobCancelledLocally(message, metadata=facts)

    async def _is_over(self, ticket: Ticket) -> bool:
        return (await persisting(lambda: self._job.status(ticket), self._waits)).phase is Phase.DONE

    # --- waiting ---

    async def _wait(self) -> AsyncGenerator[Event]:
        async with aclosing(self._statuses()) as statuses:
            async for status in statuses:
                if (progress := self._news(status)) is not None:
                    yield progress
                for event in status.spoken:
                    yield event
                if status.phase is Phase.DONE:
                    break
        self._is_done = True

    async def _statuses(self) -> AsyncGenerator[Status]:
        """Give the states: streamed where the vendor does, by polls otherwise, and where the stream breaks off."""
        ticket = self._ticket or {}
        stream = self._job.watch(ticket)
        if stream is not None:
            try:
                async with aclosing(stream) as states:
                    async for status in states:
                        yield status
                        if status.phase is Phase.DONE:
                            return
            except (Unanswered, AutoMarketError) as error:
                log.info("a vendor's stream of states broke off", extra={"reason": str(error)})
        for pause in self._waits.pauses():
            status = await persisting(lambda: self._job.status(ticket), self._waits)
            yield status
            if status.phase is Phase.DONE:
                return
            await asyncio.sleep(pause)

    def _news(self, status: Status) -> Progress | None:
        """Give what is new in a state; None where nothing is."""
        lines = status.log_lines
        if status.logs_are_whole:
            fresh = lines[self._lines_seen :] if len(lines) >= self._lines_seen else ()
            self._lines_seen = max(self._lines_seen, len(lines))
            lines = fresh
        for line in lines:
            self._call.log(line)
        told = (status.phase, status.queue_position, status.fraction, status.message)
        if status.phase is Phase.DONE and not lines:
            return None
        if told == self._told and not lines:
            return None
        self._told = told
        phase = Phase.QUEUED if status.phase is Phase.QUEUED else Phase.RUNNING
        return Progress(phase.value, status.fraction, self._message(status), status.queue_position, lines)

    def _message(self, status: Status) -> str:
        if status.message or status.phase is not Phase.QUEUED:
            return status.message
        ahead = "" if status.queue_position is None else f", {status.queue_position} ahead"
        return f"queued at {self._desk.name}{ahead}"

    # --- leaving ---

    async def leave(self) -> None:
        """Cancel the work at the vendor when the caller is lost and does not come back."""
        is_submitted = self._ticket is not None or (self._submitting is not None and not _fails(self._submitting))
        is_last = self._submitting is None or self._desk.leave(self._submitting)
        if self._call.keeps or self._is_done or not is_submitted or not is_last:
            return
        self._desk.forget(self._call.request_id)
        await self._desk.see_through(self._cancel_quietly())

    async def _cancel_quietly(self) -> None:
        try:
            # However long the vendor takes to say what it took: work that nobody knows of would be left running.
            ticket = self._ticket or (None if self._submitting is None else await asyncio.shield(self._submitting))
            if ticket is not None:
                async with asyncio.timeout(self._waits.cancel):
                    await persisting(lambda: self._job.cancel(ticket), self._waits)
        except (Unanswered, AutoMarketError, TimeoutError) as error:
            log.warning("work at a vendor could not be cancelled", extra={"reason": str(error)})


def _fails(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
