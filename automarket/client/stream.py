"""One transform as a stream of events that ends in a result."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from automarket.client.collect import Collector
from automarket.client.run import Run
from automarket.client.stored_body import StoredOutputs
from automarket.errors import AutoMarketError, EndedError
from automarket.rpc.telemetry import mark_failed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from opentelemetry.trace import Span

    from automarket.assets import Text
    from automarket.client.answers import Answer
    from automarket.client.assets import AssetClient
    from automarket.client.calling import Prepared
    from automarket.client.connection import Connection
    from automarket.client.events import Event
    from automarket.client.plan import Plan
    from automarket.client.results import Report

ResultT = TypeVar("ResultT")

_tracer = trace.get_tracer("automarket")


class Followed(Protocol):
    """What gives the events of a transform: a call, or a job."""

    @property
    def prepared(self) -> Prepared | None:
        """The call, as soon as it is known which model works on it."""
        ...

    def events(self, span: Span) -> AsyncGenerator[Event]:
        """Give out what happens."""
        ...


class TransformStream(Generic[ResultT]):
    """A transform that runs while its events are read. Leaving the iteration, or the `async with`, cancels it.

    Every failure is an AutoMarketError. `result` runs what is left and gives the result; `report` says how it went so
    far: uploads, casts, provider, time by stage.
    """

    def __init__(
        self, connection: Connection, store: AssetClient, plan: Plan[ResultT], run: Followed | None = None
    ) -> None:
        self.request_id = plan.settings.request_id or str(uuid.uuid4())
        self._plan = plan
        self._stored = StoredOutputs(connection, store)
        self._run: Followed = run or Run(connection, store, plan, self.request_id)
        self._collector = Collector(self.request_id)
        # Nothing that the generator holds leads back to it: whoever drops it ends the call at once.
        self._events = _follow(self._run, self._collector)

    def __aiter__(self) -> AsyncIterator[Event]:
        """Give the events as they happen."""
        return self._events

    async def __aenter__(self) -> Self:
        """Give the stream itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cancel the transform if it still runs."""
        await self.aclose()

    async def aclose(self) -> None:
        """Cancel the transform if it still runs."""
        await self._events.aclose()

    @property
    def report(self) -> Report:
        """How it went so far."""
        return self._collector.report()

    @property
    def text_so_far(self) -> Text:
        """The text output as far as it has come; `metadata.partial` tells whether it is only its beginning."""
        return self._collector.text_so_far()

    @property
    def answer_so_far(self) -> Answer:
        """What a language model said beside its text, as far as it has come."""
        return self._collector.answer_so_far()

    async def result(self) -> ResultT:
        """Run what is left of the transform and give its result.

        Raises:
            AutoMarketError: the transform failed.
        """
        async with contextlib.aclosing(self._events) as events:
            async for _ in events:
                pass
        if self._collector.error is not None:
            raise self._collector.error
        prepared = self._run.prepared
        if prepared is None or not self._collector.is_finished:
            raise EndedError("the transform was given up before it finished", hint="read all of its events first")
        outputs = await self._collector.outputs(prepared.model, self._stored)
        return self._plan.result_of(prepared.capability)(outputs)


async def _follow(run: Followed, collector: Collector) -> AsyncGenerator[Event]:
    span = _tracer.start_span("automarket.transform", kind=SpanKind.CLIENT)
    collector.trace_id = _trace_id(span)
    try:
        async with contextlib.aclosing(run.events(span)) as events:
            async for event in events:
                await collector.take(event)
                yield event
        collector.check_finished()
    except BaseException as error:
        if not collector.is_finished:
            mark_failed(span, error)
        collector.error = error if isinstance(error, AutoMarketError) else None
        raise
    finally:
        span.end()


def _trace_id(span: Any) -> str:
    context = span.get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else ""
