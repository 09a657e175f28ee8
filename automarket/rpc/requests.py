"""Reading requests on the server: streams that can be interrupted and drained, and messages that do not parse."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import grpc.aio
from google.protobuf.message import DecodeError

from automarket.errors import InvalidRequestError
from automarket.rpc.streams import EOF

if TYPE_CHECKING:
    from collections.abc import Callable

RequestT = TypeVar("RequestT")

DRAIN_SECONDS = 0.8
SETTLE_SECONDS = 0.003

_GARBAGE = object()


def refusing_garbage(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """Wrap what parses a request: what does not parse is told to the handler's side by `checked`.

    gRPC calls it outside of every handler; an error there would be sent to the caller with its text.
    """
    if deserialize is None:
        return None

    def parse(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return _GARBAGE

    return parse


def checked(message: Any) -> Any:
    """Give the message itself.

    Raises:
        InvalidRequestError: the bytes that came were no message of that type.
    """
    if message is _GARBAGE:
        raise InvalidRequestError("the request is not a message of the type that the method takes")
    return message


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
        """Give the next message.

        Raises:
            InvalidRequestError: the bytes that came were no message of that type.
        """
        message = await self._read()
        if message is EOF:
            # gRPC reports a caller that went away as a regular end too, up to 2 ms before it cancels the call.
            await asyncio.sleep(SETTLE_SECONDS)
            raise StopAsyncIteration
        return checked(message)

    async def _read(self) -> Any:
        if self._ended:
            return EOF
        reading = self._reading
        if reading is None:
            reading = self._reading = asyncio.ensure_future(self._context.read())
            reading.add_done_callback(_heed)
        message: Any = await asyncio.shield(reading)
        self._reading = None
        self._ended = message is EOF
        return message

    async def drain(self) -> None:
        """Read and drop messages until the client half-closes, for a short while.

        A `grpc.aio` client that is still sending when the server ends the call often sees "Internal error from Core"
        instead of the status; letting it finish, or giving it time to notice, keeps the status.
        """
        with contextlib.suppress(TimeoutError, grpc.aio.BaseError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while await self._read() is not EOF:
                    pass

    def close(self) -> None:
        """Give up a read that is under way. The call is over."""
        if self._reading is not None:
            self._reading.cancel()


def _heed(reading: asyncio.Future[Any]) -> None:
    """Take note of a read that failed when nobody waits for it any more, so that asyncio does not complain."""
    if not reading.cancelled():
        reading.exception()
