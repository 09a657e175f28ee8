"""One call of a provider server for a job: its events, and word to the provider that its checkpoints are stored."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError, ProviderLost
from automarket.rpc.channel import open_channel
from automarket.rpc.streams import BidiCall
from automarket.rpc.telemetry import inject
from automarket.v1 import model_service_pb2
from automarket.v1.model_service_pb2_grpc import ModelServiceStub

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from automarket.v1 import model_pb2, transform_pb2
    from automarket.v1.model_service_pb2_grpc import ModelServiceAsyncStub
    from gateway.relay.choice import Route

SILENCE_SECONDS = 90.0
"""A provider says something at least every 15 seconds; one that is silent for so long has come to a halt."""


class ProviderCall:
    """A call under way. Leaving the iteration over its events ends it; what a vendor does goes on.

    Args:
        route: where it goes.
        target: what it asks for there.
        header: what is to be done.
        silence: seconds without any event after which the provider counts as lost.

    Attributes:
        was_taken: the provider has the call, whether it has begun or not.
    """

    def __init__(
        self,
        route: Route,
        target: model_pb2.Target,
        header: transform_pb2.TransformHeader,
        *,
        silence: float = SILENCE_SECONDS,
    ) -> None:
        self._route = route
        self._first = model_service_pb2.TransformRequest(target=target, header=header)
        self._silence = silence
        self._words: asyncio.Queue[model_service_pb2.TransformRequest] = asyncio.Queue()
        self.was_taken = False

    def stored(self, sequence: int) -> None:
        """Tell the provider that the checkpoint in its event of that number is stored."""
        word = model_service_pb2.TransformRequest()
        word.checkpoint_stored.sequence = sequence
        self._words.put_nowait(word)

    async def events(self) -> AsyncGenerator[transform_pb2.TransformEvent]:
        """Give what happens.

        Raises:
            AutoMarketError: the call failed.
        """
        metadata = [
            ("automarket-request-id", self._first.header.request_id),
            ("automarket-resolved-model", self._route.model_id),
            ("automarket-resolved-provider", self._route.provider_id),
        ]
        async with open_channel(self._route.address) as channel:
            stub: ModelServiceAsyncStub = ModelServiceStub(channel)
            call: BidiCall[model_service_pb2.TransformRequest, model_service_pb2.TransformResponse]
            call = BidiCall(stub.Transform(metadata=inject(metadata)), self._first, self._said())
            async with call, aclosing(call.responses()) as responses:
                while True:
                    try:
                        async with asyncio.timeout(self._silence):
                            response = await anext(responses, None)
                    except TimeoutError:
                        raise self._lost(f"said nothing for {self._silence:.0f} s") from None
                    if response is None:
                        return
                    self.was_taken = True
                    yield response.event

    async def _said(self) -> AsyncGenerator[model_service_pb2.TransformRequest]:
        """Give what the provider is told; it is asked for when the provider has taken the call."""
        self.was_taken = True
        while True:
            yield await self._words.get()

    def _lost(self, what: str) -> ProviderLost:
        metadata = {"provider": self._route.provider_id, "instance": self._route.instance_id}
        return ProviderLost(f"provider {self._route.provider_id} {what}", metadata=metadata)


def is_lost(error: AutoMarketError) -> bool:
    """Tell whether a call ended because its provider or the way there did, and not because the provider said so.

    Every server of the mesh sends ErrorInfo, which always says `retry`: a status without it is the transport's.
    """
    return isinstance(error, ProviderLost) or "retry" not in error.metadata
