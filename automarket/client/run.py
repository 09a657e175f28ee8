"""The steps of one transform: describe the model, upload, call, and give out what happens."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from automarket.client import wire
from automarket.client.calling import Calling, Prepared
from automarket.client.inputs import bind
from automarket.client.options import check_options, write_options
from automarket.client.plan import used_as
from automarket.client.upload import Uploader
from automarket.errors import DeadlineExceeded, InvalidRequestError, RequestTooLarge, UnavailableError
from automarket.v1 import model_service_pb2, transform_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from opentelemetry.trace import Span

    from automarket.client.assets import AssetClient
    from automarket.client.connection import Connection
    from automarket.client.descriptors import ModelInfo
    from automarket.client.events import Event
    from automarket.client.plan import Plan
    from automarket.client.target import Target

MAX_HEADER_BYTES = 3 * 1024 * 1024


class Run:
    """Runs one plan, once. `prepared` is set when the inputs are on their way."""

    def __init__(self, connection: Connection, store: AssetClient, plan: Plan[Any], request_id: str) -> None:
        self._connection = connection
        self._store = store
        self._plan = plan
        self._request_id = request_id
        self.prepared: Prepared | None = None

    async def events(self, span: Span) -> AsyncGenerator[Event]:
        """Give out what happens; leaving the iteration cancels the call.

        A generator runs in its reader's context, so `span` is made current only in between.
        """
        timeout = self._plan.settings.timeout
        deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        with self._connection.errors():
            async with contextlib.aclosing(self._preparing(span, deadline)) as events:
                async for event in events:
                    yield event
            if self.prepared is None:
                return
            calling = Calling(self._connection, self.prepared, deadline, span).events()
            if self.prepared.as_job:
                calling = self._to_its_end(calling)
            async with contextlib.aclosing(calling) as events:
                async for event in events:
                    yield event

    async def _to_its_end(self, calling: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        """Give the events of a call that is followed as a job; where the mesh goes away on the way, the job's."""
        from automarket.client.job_info import JobInfo
        from automarket.client.jobs import Jobs

        after = 0
        try:
            async with contextlib.aclosing(calling) as events:
                async for event in events:
                    after = event.sequence
                    yield event
        except UnavailableError as error:
            if not after or "job" in error.metadata:  # there is no job, or it failed so
                raise
        else:
            return
        async with contextlib.aclosing(Jobs(self._connection, self._store).watch(self._request_id, after)) as items:
            async for item in items:
                if not isinstance(item, JobInfo):
                    yield item

    async def prepared_at_once(self) -> Prepared:
        """Give the call as it would be made, after the inputs that go by digest are in the store.

        Raises:
            AutoMarketError: the model, an input or an option is wrong, or the time is over.
        """
        timeout = self._plan.settings.timeout
        deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        return await self._prepare(lambda _: None, deadline)

    async def _preparing(self, span: Span, deadline: float | None) -> AsyncGenerator[Event]:
        news: asyncio.Queue[Event | None] = asyncio.Queue()
        with trace.use_span(span, end_on_exit=False):
            task = asyncio.create_task(self._prepare(news.put_nowait, deadline))
        task.add_done_callback(lambda _: news.put_nowait(None))
        try:
            while (event := await news.get()) is not None:
                yield event
            self.prepared = await task
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _prepare(self, report: Callable[[Event], None], deadline: float | None) -> Prepared:
        try:
            async with asyncio.timeout_at(deadline):
                self._plan.target.check()
                model = self._plan.model or await describe(self._connection, self._plan.target)
                return await self._ready(model, report)
        except TimeoutError:
            raise DeadlineExceeded("the deadline passed while inputs were on their way to the mesh") from None

    async def _ready(self, model: ModelInfo, report: Callable[[Event], None]) -> Prepared:
        plan, settings = self._plan, self._plan.settings
        if settings.job and settings.store is False:
            raise InvalidRequestError("a job's outputs are kept by the asset store", fields={"store": "not for jobs"})
        capability = used_as(model, plan.target.capability)
        bound = await asyncio.to_thread(bind, model, plan.arguments, plan.keywords)
        header = transform_pb2.TransformHeader(
            request_id=self._request_id,
            store=settings.store,
            outputs_by_digest=settings.by_digest or settings.job,
        )
        if not plan.target.fallbacks:
            check_options(bound.options, capability, model.options_schema)
        write_options(header, capability, bound.options)
        uploader = Uploader(self._store, use_store=settings.store is not False, report=report)
        inputs = await uploader.prepare(bound.inputs)
        header.inputs.extend(one.declared for one in inputs)
        if header.ByteSize() > MAX_HEADER_BYTES:
            raise RequestTooLarge("options and inline inputs are over 3 MiB", hint="make the options smaller")
        return Prepared(model, capability, plan.target, header, inputs, as_job=settings.job)


async def describe(connection: Connection, target: Target) -> ModelInfo:
    """Ask which model a target names, or which one fits it best.

    Raises:
        AutoMarketError: none does, or nobody answered.
    """
    request = model_service_pb2.GetModelRequest(target=target.to_proto())
    response = await connection.ask(connection.models.GetModel, request, target.to_metadata())
    return wire.model(response.model)
