"""Reading a request stream on the server so that it can be interrupted, and drained before a call is ended early."""

from __future__ import annotations

import asyncio
from typing import Any, Generic, TypeVar

from automarket.rpc.streams import EOF

RequestT = TypeVar("RequestT")

DRAIN_SECONDS = 0.8


class RequestReader(Generic[RequestT]):
    """The request stream of one call, as an async iterator.

    A read that is cancelled loses nothing: it stays under way and the next one takes its message. (Cancelling
    gRPC's own read would leave the operation behind in gRPC's core, and with it the message.)
    """

    def __init__(self, context: Any) -> None:
        self._context = context
        self._reading: asyncio.Future[Any] | None = None
        self._ended = False

    def __aiter__(self) -> RequestReader[RequestT]:
        """Iterate over the messages."""
        return self

    async def __anext__(self) -> RequestT:
        """Give the next message."""
        if self._ended:
            raise StopAsyncIteration
        reading = self._reading or asyncio.ensure_future(self._context.read())
        self._reading = reading
        message: Any = await asyncio.shield(reading)
        self._reading = None
        if message is EOF:
            self._ended = True
            raise StopAsyncIteration
        return message

    async def drain(self) -> None:
        """Read and drop messages until the client half-closes, for a short while.

        A `grpc.aio` client that is still sending when the server ends the call often sees "Internal error from Core"
        instead of the status; letting it finish, or giving it time to notice, keeps the status.
        """
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                async for _ in self:
                    pass
        except TimeoutError:
            pass

    def close(self) -> None:
        """Give up a read that is under way. The call is over."""
        if self._reading is not None:
            self._reading.cancel()
