"""One run of a model: from the header to the numbered events.

The author's generator runs in a task of its own and its events wait in a short queue for the caller, so that silence
can be noticed and a cancel takes everything down at once.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from automarket.assets.roles import Role
from automarket.errors import AutoMarketError, BackendFailed, JobCancelled, ResumeInvalid
from automarket.media.wire import to_duration
from automarket.rpc.telemetry import span
from automarket.stored import Lineage
from automarket.v1 import transform_pb2
from provider_servers.runtime.call import Call, Resume, ResumeAction
from provider_servers.runtime.checkpoints import Checkpoints
from provider_servers.runtime.composed import base_of
from provider_servers.runtime.conversations import ConversationReader
from provider_servers.runtime.describe import Kind
from provider_servers.runtime.estimates import estimate_to_proto, estimated, facts_of
from provider_servers.runtime.event_messages import (
    BACKEND_PHASES,
    Tokens,
    checkpoint_message,
    progress_message,
    usage_message,
    waits,
    write_event,
)
from provider_servers.runtime.events import Checkpoint, Media, Progress, Spoken, Started, Usage
from provider_servers.runtime.handover import SILENCE, Handover
from provider_servers.runtime.options import read_options
from provider_servers.runtime.outputs import MediaOutput, TextOutput
from provider_servers.runtime.prepare import Preparer, fill_slots
from provider_servers.runtime.receive import InputStreams
from provider_servers.runtime.remembered import Cost, shown_options
from provider_servers.runtime.workdir import Workdir

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable

    from automarket.v1 import model_service_pb2
    from provider_servers.runtime.describe import Model
    from provider_servers.runtime.events import Event
    from provider_servers.runtime.host import Host

ResponseT = TypeVar("ResponseT", bound="model_service_pb2.TransformResponse | model_service_pb2.GenerateResponse")

SILENCE_SECONDS = 15.0
MOST_WAITING = 4  # events that were not taken yet
MOST_TOKENS = 4096  # of text that is given together
LATE_SECONDS = 0.05  # a call that is cancelled with less time left than this ran into its deadline


class Run:
    """One call of a model.

    Args:
        host: the server that it runs in.
        model: the model.
        capability: what it is asked for as.
        header: what to do.
        requests: the chunks; None for Generate, which has none.
        seconds_left: until the caller's deadline, or None.
    """

    def __init__(
        self,
        host: Host,
        model: Model,
        capability: str,
        header: transform_pb2.TransformHeader,
        *,
        requests: AsyncIterable[model_service_pb2.TransformRequest] | None,
        seconds_left: float | None,
    ) -> None:
        self._host = host
        self._model = model
        self._header = header
        self._slots = fill_slots(header.inputs, model)
        deadline = None if seconds_left is None else time.monotonic() + seconds_left
        options = read_options(header, model)
        self._folder = Workdir()
        self._call = Call(model, capability, options, header.request_id, self._folder, deadline_at=deadline)
        self._call.resume = _resume(header, model)
        self._call.keeps = header.on_loss == transform_pb2.LOSS_ACTION_KEEP
        self._checkpoints = Checkpoints(keeps=self._call.keeps)
        self._cost = Cost()
        self._usages = 0
        self._is_set_aside = False
        self._preparer = Preparer(host.store, self._folder, keep=header.HasField("store") and header.store)
        self._call.reader = ConversationReader(model, header.inputs, self._slots, self._preparer)
        self._has_chunks = requests is not None
        self._streams = InputStreams(requests or _nothing(), header.inputs, self._folder, self._checkpoints)
        self._events = Handover(MOST_WAITING, SILENCE_SECONDS)
        self._sequence = 0
        self._accepted = False
        self._phase = "queued"
        self._outputs = 0
        self._text: TextOutput | None = None
        self._stages: list[tuple[str, float]] = []

    async def responses(self, make: Callable[[], ResponseT]) -> AsyncGenerator[ResponseT]:
        """Give the events, each in a response; the last one is `finished`.

        Raises:
            AutoMarketError: the call failed.
        """
        record = self._host.diagnostics.begin(self._header.request_id, self._call.log_lines)
        self._host.begin_call()
        working = asyncio.create_task(self._work())
        working.add_done_callback(lambda _: self._events.end())
        is_kept = False
        try:
            while (payload := await self._next()) is not None:
                if not self._accepted and not waits(payload):
                    self._accepted = True
                    yield self._respond(self._acceptance(), make())
                yield self._respond(payload, make())
            await working
            yield self._respond(self._finished(), make())
            record.finish(None)
        except BaseException as error:
            is_kept = self._call.keeps and not isinstance(error, AutoMarketError)
            record.finish(error, late=self._call.deadline is not None and self._call.deadline < LATE_SECONDS)
            raise
        finally:
            self._events.close()
            if self._is_set_aside and not is_kept:  # a vendor may still be at work for a caller that comes back
                self._host.accounts.ended(self._call.request_id)
            if working.done() and not self._folder.is_made:
                _heed(working)
                self._host.end_call()
            else:
                working.cancel()
                await self._host.see_through(self._tidy(working))

    async def _tidy(self, working: asyncio.Task[None]) -> None:
        """Wait for the end of the work and remove what it left."""
        try:
            await asyncio.gather(working, return_exceptions=True)
            await self._folder.remove()
        finally:
            self._host.end_call()

    async def _next(self) -> Any:
        """Give the next event, a sign of life after long silence, or None when the work has ended.

        Text that waits already is given together: it waited because what was before it was being sent.
        """
        payload = await self._events.take()
        if payload is SILENCE:
            return transform_pb2.Progress(phase=self._phase)
        while isinstance(payload, Tokens) and (more := self._events.take_next()) is not None:
            fits = isinstance(more, Tokens) and more.output == payload.output
            if not fits or len(payload.tokens) >= MOST_TOKENS:
                self._events.put_back(more)
                break
            payload.tokens += more.tokens
        return payload

    def _respond(self, payload: Any, response: ResponseT) -> ResponseT:
        self._sequence += 1
        if isinstance(payload, transform_pb2.Checkpoint):
            self._checkpoints.sent(self._sequence)  # before the caller can see it
        write_event(payload, self._sequence, response.event)
        return response

    def _acceptance(self) -> transform_pb2.Accepted:
        return transform_pb2.Accepted(
            provider_id=self._host.provider.id,
            instance_id=self._host.instance_id,
            model_id=self._model.id,
            casts=self._preparer.casts,
        )

    def _finished(self) -> transform_pb2.Finished:
        timings = [
            transform_pb2.StageTiming(stage=stage, elapsed=to_duration(seconds)) for stage, seconds in self._stages
        ]
        return transform_pb2.Finished(stages=timings)

    # --- the work, in a task of its own ---

    async def _work(self) -> None:
        """Wait for a place, prepare the inputs and run the author's code while the request stream is taken apart."""
        if not self._has_chunks:
            await self._in_place()
            return
        pumping = asyncio.create_task(self._streams.pump())
        serving = asyncio.create_task(self._in_place())
        try:
            await asyncio.wait({serving, pumping}, return_when=asyncio.FIRST_COMPLETED)
            if pumping.done():
                pumping.result()  # a fault in the request stream ends the work at once
            await serving
            if pumping.done():
                pumping.result()
        finally:
            for task in (serving, pumping):
                task.cancel()
            await asyncio.gather(serving, pumping, return_exceptions=True)

    async def _in_place(self) -> None:
        begin = time.monotonic()
        if self._call.resume is not None and self._call.resume.action is ResumeAction.CANCEL:
            await self._serve()  # it must not wait for the calls that work
            return
        async with self._host.places.place(self._report_line):
            self._mark("queued", begin)
            await self._serve()

    async def _serve(self) -> None:
        if self._header.outputs_by_digest:
            self._host.store.require()  # before anything is spent
        self._phase = "casting"
        begin = time.monotonic()
        for number, (given, slot) in enumerate(zip(self._header.inputs, self._slots, strict=True)):
            if given.WhichOneof("source") == "conversation":
                continue  # the author reads it through the call
            prepared = await self._preparer.prepare(number, given, slot, self._streams.read)
            self._call.slots.setdefault(slot.name, []).append(prepared)
        if self._preparer.casts:
            self._mark("casting", begin)
        await self._set_aside()
        self._phase = "running"
        begin = time.monotonic()
        with span("transform", provider=self._host.provider.id, model=self._model.id):
            begin = await self._transform(begin)
        if not self._outputs:
            raise BackendFailed(
                f"model {self._model.id} came to its end and gave no output", metadata={"phase": "running"}
            )
        if self._text is not None:
            await self._text.finish(self._host.store if self._preparer.keep else None, self._lineage())
        self._mark("running", begin)

    async def _set_aside(self) -> None:
        """Ask whether the call may spend what it costs; one that goes on has been asked for already.

        Raises:
            BudgetExhausted: it may not.
        """
        provider, accounts = self._host.provider, self._host.accounts
        if provider.kind is not Kind.REMOTE or not accounts.has_budgets or self._call.resume is not None:
            return
        facts = await facts_of(self._header.inputs, self._slots, self._host.store)
        asked = replace(self._call, facts=facts)
        estimate = await provider.estimate(asked) or estimated(self._model, self._call.options, facts)
        await accounts.reserve(self._call.request_id, self._model.id, estimate_to_proto(estimate))
        self._is_set_aside = True

    async def _transform(self, begin: float) -> float:
        """Run the author's code; give when its work began, which is later where it had to wait for its backend."""
        ready = begin
        not_begun = True
        async with aclosing(self._author()) as events:
            async for event in events:
                not_begun = not_begun and isinstance(event, Progress) and event.phase in BACKEND_PHASES
                if not_begun:
                    ready = time.monotonic()
                await self._handle(event)
        if ready > begin:
            self._stages.append(("starting", ready - begin))
        return ready

    def _author(self) -> AsyncGenerator[Event]:
        generator: Any = self._host.provider.transform(self._call)
        return generator

    async def _handle(self, event: Event) -> None:
        if isinstance(event, Media):
            output = MediaOutput(event, self._outputs, self._call.workdir, self._emit, base_of(self._call))
            self._outputs += 1
            if self._header.outputs_by_digest:
                await output.store(self._host.store, self._lineage)
            else:
                keep = self._host.store if not self._header.HasField("store") or self._header.store else None
                await output.send(keep, self._lineage)
        elif isinstance(event, Spoken):
            if self._text is None:
                self._text = TextOutput(self._outputs, _text_name(self._model), self._emit)
                self._outputs += 1
            await self._text.add(event)
        elif isinstance(event, Started):
            await self._emit(transform_pb2.Progress(phase="running"))
        elif isinstance(event, Progress):
            self._phase = event.phase
            await self._emit(progress_message(event))
        elif isinstance(event, Usage):
            usage = usage_message(event, self._model.pricing)
            self._cost.add(usage)
            self._usages += 1
            self._host.accounts.used(self._call.request_id, self._usages, self._model.id, usage)
            await self._emit(usage)
        elif isinstance(event, Checkpoint):  # pyright: ignore[reportUnnecessaryIsInstance] - authors may be untyped
            await self._checkpoints.give(checkpoint_message(event), self._emit)

    async def _emit(self, payload: Any) -> None:
        await self._events.put(payload)

    def _report_line(self, ahead: int) -> None:
        if self._events.has_room():
            message = f"queued, {ahead} ahead{self._host.backend_wait()}"
            self._events.put_nowait(transform_pb2.Progress(phase="queued", message=message))

    def _mark(self, stage: str, begin: float) -> None:
        self._stages.append((stage, time.monotonic() - begin))

    def _lineage(self) -> Lineage:
        return Lineage(
            operation=self._call.capability,
            parents=tuple(
                dict.fromkeys(
                    [
                        *(one.digest for inputs in self._call.slots.values() for one in inputs if one.digest),
                        *self._preparer.parts,
                    ]
                )
            ),
            provider=self._host.provider.id,
            model=self._model.id,
            request_id=self._call.request_id,
            options=shown_options(self._call.options),
            cost=self._cost.total,
            currency=self._cost.currency,
        )


def _resume(header: transform_pb2.TransformHeader, model: Model) -> Resume | None:
    """Give where a call that was lost goes on; None when it begins anew, because nothing was begun.

    Raises:
        ResumeInvalid: the model has no checkpoints.
        JobCancelled: nothing was begun, and nothing is to be.
    """
    if not header.HasField("resume"):
        return None
    if not model.resumable:
        message = f"model {model.id} gives no checkpoints, so no call of it can go on"
        raise ResumeInvalid(message, hint="call it anew", fields={"header.resume": "the model is not resumable"})
    cancels = header.resume.action == transform_pb2.RESUME_ACTION_CANCEL
    if header.resume.state:
        return Resume(header.resume.state, ResumeAction.CANCEL if cancels else ResumeAction.CONTINUE)
    if cancels:
        raise JobCancelled("the call was cancelled before anything was begun", metadata={"model": model.id})
    return None


async def _nothing() -> AsyncGenerator[model_service_pb2.TransformRequest]:
    return
    yield


def _heed(working: asyncio.Task[None]) -> None:
    """Take note of what the work failed with, which nobody waits for any more, so that asyncio does not complain."""
    if not working.cancelled():
        working.exception()


def _text_name(model: Model) -> str:
    """Give the name of the model's text output."""
    return next((output.name for output in model.outputs if output.role == Role.TEXT), "text")
