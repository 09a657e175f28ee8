"""One call at a vendor, from its input to what it made: see the package's docstring."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from automarket.errors import (
    AutoMarketError,
    BackendFailed,
    JobCancelled,
    JobCancelledLocally,
    OutcomeUnknown,
    OutputExpired,
    RateLimited,
    UnavailableError,
    VendorOverloaded,
)
from automarket.media.probe import probe
from provider_servers.runtime.call import ResumeAction
from provider_servers.runtime.events import Checkpoint, Media, Progress
from provider_servers.runtime.remote.downloads import Expired
from provider_servers.runtime.remote.job import Cancel, Phase
from provider_servers.runtime.remote.states import Stage, State, read_state
from provider_servers.runtime.remote.vendor_api import Unanswered

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

    from automarket.media.info import MediaInfo
    from provider_servers.runtime.call import Call
    from provider_servers.runtime.events import Event
    from provider_servers.runtime.remote.desk import Desk
    from provider_servers.runtime.remote.job import Made, RemoteJob, Result, Status, Ticket

T = TypeVar("T")

log = logging.getLogger("automarket.provider")

_UNKNOWN_TYPES = ("", "application/octet-stream", "binary/octet-stream")


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
    except AutoMarketError:
        following.failed()
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
        self._ticket: Ticket | None = None
        self._submitting: asyncio.Task[Ticket] | None = None
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
        async with aclosing(self._collect()) as events:
            async for event in events:
                yield event

    def failed(self) -> None:
        """Take note that the call has failed: a repeat of it begins anew."""
        self._desk.forget(self._call.request_id)

    # --- submitting ---

    async def _begin(self) -> AsyncGenerator[Event]:
        await self._job.prepare()
        state = State(Stage.SUBMITTING, self._call.model.id, remembered=self._job.remembered())
        if self._call.keeps:
            yield Checkpoint(state.write())
        self._submitting = self._desk.submit(self._call.request_id, self._mark(state), lambda: self._submit(state))
        try:
            self._ticket = await asyncio.shield(self._submitting)
        except OutcomeUnknown:
            raise
        except AutoMarketError:
            if self._call.keeps:
                yield Checkpoint(b"")  # it was not taken: whoever comes back begins anew
            raise
        yield Checkpoint(replace(state, stage=Stage.SUBMITTED, ticket=self._ticket).write())

    def _mark(self, state: State) -> str:
        """Give what tells whether another call asks for the same."""
        asked = [self._call.model.id, self._call.options, dict(state.remembered)]
        return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()

    async def _submit(self, state: State) -> Ticket:
        """Submit the work exactly once: again only where the vendor did not take it."""
        for attempt in range(1, self._waits.submits + 1):
            is_last = attempt == self._waits.submits
            try:
                return await self._job.submit()
            except Unanswered as lost:
                if lost.reached:
                    return await self._find(state, lost.error)
                if is_last:
                    raise lost.error from None
                wait = self._waits.before_retry(attempt)
            except RateLimited as error:
                if is_last or (error.retry_after or 0) > self._waits.longest_retry:
                    raise
                wait = self._waits.before_retry(attempt, error.retry_after)
            await asyncio.sleep(wait)
        raise AssertionError  # the last attempt returns or raises

    async def _find(self, state: State, fault: AutoMarketError | None = None) -> Ticket:
        """Look up a submit whose answer was lost.

        Raises:
            OutcomeUnknown: nobody can tell what became of it.
        """
        for pause, _ in zip(self._waits.pauses(), range(self._waits.submits), strict=False):
            try:
                if found := await self._job.lookup(state):
                    return found
            except (Unanswered, AutoMarketError) as error:
                fault = fault or (error.error if isinstance(error, Unanswered) else error)
            await asyncio.sleep(pause)
        name, model = self._desk.name, self._call.model.id
        why = f": {fault.message}" if fault is not None else ""
        raise OutcomeUnknown(
            f"the request may have reached {name} or not, and {name} cannot tell{why}",
            hint=f"look at {name}'s own list of requests before you run it again: it may have been paid for",
            metadata={"model": model, "phase": "submitting"},
        )

    # --- going on ---

    async def _go_on(self) -> AsyncGenerator[Event]:
        resume = self._call.resume
        assert resume is not None  # noqa: S101 - that is what brought us here
        state = read_state(resume.state, self._call.model.id)
        self._ticket = state.ticket
        if state.stage is Stage.SUBMITTING:
            self._ticket = await self._recalled(state)
            yield Checkpoint(replace(state, stage=Stage.SUBMITTED, ticket=self._ticket).write())
        if resume.action is ResumeAction.CANCEL:
            await self._cancel(self._ticket)

    async def _recalled(self, state: State) -> Ticket:
        """Give the ticket of a submit that nobody heard of: this process may have made it itself, or still be at it."""
        known = self._desk.submitted(self._call.request_id)
        if known is None:
            return await self._find(state)
        return await asyncio.shield(known)

    async def _cancel(self, ticket: Ticket) -> None:
        """Cancel the work; return where it was too late, or where its end has to tell.

        Raises:
            JobCancelled, JobCancelledLocally
        """
        answered = await self._persisting(lambda: self._job.cancel(ticket))
        facts = {"model": self._call.model.id, "phase": "cancelling"}
        name = self._desk.name
        if answered is Cancel.TAKEN:
            self._is_done = True
            raise JobCancelled(f"the call was cancelled at {name}", metadata=facts)
        if answered in (Cancel.NONE, Cancel.UNKNOWN):
            self._is_done = True
            why = "has no cancel" if answered is Cancel.NONE else "knows nothing of it"
            message = f"the call was cancelled here; {name} {why}, so what it charges stands"
            raise JobCancelledLocally(message, metadata=facts)

    async def _persisting(
        self, ask: Callable[[], Awaitable[T]], passing: tuple[type[AutoMarketError], ...] = (UnavailableError,)
    ) -> T:
        """Ask again while the vendor gives no answer, has too much to do or fails with what is passing; for a while.

        Raises:
            AutoMarketError: what it answers is an error, or patience is at its end.
        """
        patience = asyncio.get_running_loop().time() + self._waits.patience
        for pause in self._waits.pauses():
            asked = 0.0
            try:
                return await ask()
            except (Unanswered, RateLimited, VendorOverloaded, *passing) as error:
                fault = error.error if isinstance(error, Unanswered) else error
                if asyncio.get_running_loop().time() >= patience:
                    raise fault from None
                asked = fault.retry_after or 0.0
            await asyncio.sleep(max(pause, asked))
        raise AssertionError  # pauses do not end

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
            status = await self._persisting(lambda: self._job.status(ticket))
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

    # --- collecting ---

    async def _collect(self) -> AsyncGenerator[Event]:
        result = await self._result()
        for event in result.spoken:
            yield event
        files: list[tuple[Path, str]] = []
        infos: list[MediaInfo] = []
        fault: AutoMarketError | None = None
        for number, made in enumerate(result.made):
            yield Progress("downloading", message=f"output {number + 1} of {len(result.made)}")
            try:
                file, media_type, result = await self._downloaded(number, made, result)
                infos.append(await probe(file))
            except AutoMarketError as error:
                fault = error
                break
            files.append((file, media_type))
        for usage in self._job.usage(result, infos):
            yield usage  # what was paid is said, whatever came of it
        if fault is not None:
            raise fault
        for made, (file, media_type), info in zip(result.made, files, infos, strict=True):
            yield Media(made.output, media_type, file, info, generated=made.generated)

    async def _result(self) -> Result:
        ticket = self._ticket or {}
        patience = asyncio.get_running_loop().time() + self._waits.late
        for pause in self._waits.pauses():
            if (found := await self._persisting(lambda: self._job.result(ticket), passing=())) is not None:
                return found
            if asyncio.get_running_loop().time() >= patience:
                break
            await asyncio.sleep(pause)
        message = f"{self._desk.name} says that the work is done, and that its result is still in progress"
        raise BackendFailed(message, metadata={"model": self._call.model.id, "phase": "running"})

    async def _downloaded(self, number: int, made: Made, result: Result) -> tuple[Path, str, Result]:
        """Download an output; where its URL has expired, the result is fetched once more.

        Raises:
            OutputExpired: the new one has, too.
        """
        file = self._call.workdir / f"made-{number}"
        for attempt in range(2):
            try:
                said = await self._desk.downloads.fetch(made.url, file, made.headers)
            except Expired:
                if attempt:
                    break
                result = await self._result()
                if number >= len(result.made):
                    break
                made = result.made[number]
            else:
                return file, _media_type(made, said, self._call), result
        raise OutputExpired(
            f"what {self._desk.name} made is no longer there; it was paid for",
            hint="run it again, and look at how long the vendor keeps outputs",
            metadata={"model": self._call.model.id, "phase": "downloading"},
        )

    # --- leaving ---

    async def leave(self) -> None:
        """Cancel the work at the vendor when the caller is lost and does not come back."""
        if self._call.keeps or self._is_done or (self._submitting is None and self._ticket is None):
            return
        if (
            self._ticket is None
            and self._submitting is not None
            and self._submitting.done()
            and _fails(self._submitting)
        ):
            return
        self._desk.forget(self._call.request_id)
        await self._desk.see_through(self._cancel_quietly())

    async def _cancel_quietly(self) -> None:
        try:
            async with asyncio.timeout(self._waits.cancel):
                if self._ticket is None and self._submitting is not None:
                    self._ticket = await asyncio.shield(self._submitting)
                if self._ticket is not None:
                    await self._job.cancel(self._ticket)
        except (Unanswered, AutoMarketError, TimeoutError) as error:
            log.warning("work at a vendor could not be cancelled", extra={"reason": str(error)})


def _fails(task: asyncio.Task[Any]) -> bool:
    return task.cancelled() or task.exception() is not None


def _media_type(made: Made, said: str, call: Call) -> str:
    """Give what an output is: as the vendor says, else as its server does, else as the model's descriptor does."""
    named = next((one for one in call.model.outputs if one.name == made.output), None)
    usual = named.media_types[0] if named is not None and named.media_types else "application/octet-stream"
    return next(one for one in (made.media_type, said, usual) if one not in _UNKNOWN_TYPES or one == usual)
