"""The call of a prepared transform: to the provider itself where much is to be streamed, else by the gateway."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry import trace

from automarket.client import event_wire
from automarket.client.direct import is_broken, is_refused, lost, resolved
from automarket.client.discovery import Discovery
from automarket.client.target import Target
from automarket.client.upload import chunk_messages
from automarket.errors import AutoMarketError, ProviderBusy
from automarket.rpc.streams import BidiCall
from automarket.rpc.telemetry import inject
from automarket.v1 import model_service_pb2
from automarket.v1.model_service_pb2_grpc import ModelServiceStub

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from opentelemetry.trace import Span

    from automarket.client.connection import Connection
    from automarket.client.descriptors import ModelInfo, Route
    from automarket.client.direct import Found
    from automarket.client.events import Event
    from automarket.client.upload import Travelling
    from automarket.v1 import transform_pb2
    from automarket.v1.model_service_pb2_grpc import ModelServiceAsyncStub

RESOLVE_SECONDS = 2.0
FOLLOW_AS_JOB = ("automarket-follow", "job")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A transform that is ready to be called, as a job where that is asked for."""

    model: ModelInfo
    capability: str
    target: Target
    header: transform_pb2.TransformHeader
    inputs: list[Travelling]
    as_job: bool = False

    @property
    def streamed_bytes(self) -> int:
        """How many bytes follow as chunks, as far as that is known."""
        return sum(one.stream.size or 0 for one in self.inputs if one.stream is not None)

    @property
    def is_fresh(self) -> bool:
        """Whether all inputs can be sent from the beginning."""
        return all(one.stream is None or one.stream.is_fresh for one in self.inputs)

    @property
    def of_this_model(self) -> Target:
        """The target without a choice: the model that the inputs were bound to."""
        return Target(capability=self.capability, model=self.model.id, provider=self.model.provider_id)


class _ByTheGateway(Exception):
    """Nothing came of a direct call, and nothing was lost."""


class Calling:
    """Makes the call of one transform.

    Args:
        deadline: in the event loop's time, or None.
        span: the transform's; a generator runs in its reader's context, so it is made current only in between.
    """

    def __init__(self, connection: Connection, prepared: Prepared, deadline: float | None, span: Span) -> None:
        self._connection = connection
        self._prepared = prepared
        self._deadline = deadline
        self._span = span

    async def events(self) -> AsyncGenerator[Event]:
        """Give out what happens; leaving the iteration cancels the call."""
        if not self._prepared.as_job and self._connection.direct.is_for(self._prepared.streamed_bytes):
            try:
                async with contextlib.aclosing(self._directly()) as events:
                    async for event in events:
                        yield event
            except _ByTheGateway:
                self._span.add_event("by the gateway")
            else:
                return
        async with contextlib.aclosing(self._transform(self._connection.models, self._prepared.target)) as events:
            async for event in events:
                yield event

    async def _directly(self) -> AsyncGenerator[Event]:
        """Give out what happens in a direct call.

        Raises:
            _ByTheGateway: nothing happened yet, and the call has to be made by the gateway.
        """
        route = await self._resolve()
        async with self._connection.direct.connection(route.addresses) as found:
            if found is None:
                raise _ByTheGateway
            self._span.set_attribute("automarket.instance", route.instance_id)
            async with contextlib.aclosing(self._at(route, found)) as events:
                async for event in events:
                    yield event

    async def _resolve(self) -> Route:
        left = self._left()
        timeout = RESOLVE_SECONDS if left is None else min(left, RESOLVE_SECONDS)
        if not timeout:
            raise _ByTheGateway
        with trace.use_span(self._span, end_on_exit=False):
            try:
                return await Discovery(self._connection).resolve(self._prepared.of_this_model, timeout=timeout)
            except AutoMarketError:  # the gateway may know a way out, and says better what is wrong
                raise _ByTheGateway from None

    async def _at(self, route: Route, found: Found) -> AsyncGenerator[Event]:
        begun = False
        target = self._prepared.of_this_model.at(route.instance_id)
        call = self._transform(ModelServiceStub(found.channel), target, resolved(route))
        try:
            async with contextlib.aclosing(call) as events:
                async for event in events:
                    begun = True
                    yield event
        except AutoMarketError as error:
            if self._connection.direct.is_closed:
                raise
            if not begun and self._may_go_elsewhere(error):
                if not isinstance(error, ProviderBusy):
                    self._connection.direct.shun(found.address)
                raise _ByTheGateway from None
            raise (lost(route, begun=begun) if is_broken(error) else error) from None

    def _may_go_elsewhere(self, error: AutoMarketError) -> bool:
        """Tell whether a call that had no event yet may be made again, by the rule that the gateway has for it."""
        harmless = is_refused(error) or (is_broken(error) and self._prepared.model.replay_safe)
        return harmless and self._prepared.is_fresh

    async def _transform(
        self, models: ModelServiceAsyncStub, target: Target, more: Iterable[tuple[str, str]] = ()
    ) -> AsyncGenerator[Event]:
        prepared = self._prepared
        first = model_service_pb2.TransformRequest(target=target.to_proto(), header=prepared.header)
        metadata = [*target.to_metadata(), *more, ("automarket-request-id", prepared.header.request_id)]
        metadata += [FOLLOW_AS_JOB] if prepared.as_job else []
        with trace.use_span(self._span, end_on_exit=False):
            metadata = inject(metadata)
        raw = models.Transform(metadata=metadata, timeout=self._left())
        chunks = chunk_messages(prepared.inputs) if any(one.stream for one in prepared.inputs) else None
        call: BidiCall[model_service_pb2.TransformRequest, model_service_pb2.TransformResponse]
        call = BidiCall(raw, first, chunks)
        async with call, contextlib.aclosing(call.responses()) as responses:
            async for response in responses:
                if (event := event_wire.event(response.event)) is not None:
                    yield event

    def _left(self) -> float | None:
        """Give the seconds until the deadline."""
        return None if self._deadline is None else max(self._deadline - asyncio.get_running_loop().time(), 0.0)
