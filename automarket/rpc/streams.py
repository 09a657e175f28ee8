"""Client side of calls that stream requests: header first, chunks when the server says so, the real status last.

Stock `grpc.aio` calls raise whatever happened to fail first, often the write and not the status that the server gave.
Here every failure is an AutoMarketError made from the call's own status.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

import grpc.aio

from automarket.errors import CallCancelled
from automarket.rpc.status import details_of, from_status

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable

    from automarket.errors import AutoMarketError

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

EOF: Any = vars(grpc.aio)["EOF"]

# What reads and writes of a call raise once it has ended; what it ended with is asked of the call itself.
_ENDED = (grpc.aio.AioRpcError, grpc.aio.BaseError, asyncio.InvalidStateError)


async def write(call: Any, message: Any) -> None:
    """Send one message of a call that streams requests, as its `write` does, and leave the call's status alone.

    `grpc.aio` itself answers a failed write by setting the call's status to "INTERNAL: Internal error from Core", often
    before the status that the server sent has been read. This goes around it, by two private names of `grpc.aio`.

    Raises:
        grpc.aio.BaseError or grpc.aio.AioRpcError: the call has ended; its `code()` says how.
    """
    await call.wait_for_connection()
    inner = cast("dict[str, Any]", vars(call))
    serialize = inner["_request_serializer"]
    await inner["_cython_call"].send_serialized_message(serialize(message) if serialize else message)


class _SendingCall(Generic[RequestT]):
    """A call whose requests are sent by a task of its own."""

    def __init__(self, call: Any, header: RequestT, chunks: AsyncIterable[RequestT] | None = None) -> None:
        self._call = call
        self._header = header
        self._chunks = chunks
        self._sender: asyncio.Task[None] | None = None
        self._source_error: Exception | None = None

    async def __aenter__(self) -> Self:
        """Begin to send."""
        self._sender = asyncio.create_task(self._send())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cancel what is still under way, and wait until the source of the chunks is closed."""
        self._call.cancel()
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.wait([self._sender])

    async def _send(self) -> None:
        try:
            await write(self._call, self._header)
            if self._chunks is not None:
                await self._call.initial_metadata()
                await self._send_chunks(self._chunks)
            await self._call.done_writing()
        except _ENDED:
            return  # whoever reads gets the status
        except Exception as error:  # noqa: BLE001 - raised again to whoever reads the answers
            self._source_error = error
            self._call.cancel()

    async def _send_chunks(self, chunks: AsyncIterable[RequestT]) -> None:
        source = aiter(chunks)
        try:
            async for chunk in source:
                await write(self._call, chunk)
        finally:
            if close := getattr(source, "aclose", None):
                await close()

    async def _failure(self) -> Exception | None:
        """Wait for the end of the call and give what it failed with, or None."""
        return self._source_error or await call_error(self._call)

    def _give_way(self, error: asyncio.CancelledError) -> None:
        """Raise a cancellation that is meant for this task; the call's own is told by its status."""
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise error


class BidiCall(_SendingCall[RequestT], Generic[RequestT, ResponseT]):
    """A bidirectional call that sends a header, waits for initial metadata, then sends chunks while results come.

    Use it as `async with`; leaving cancels a call that is still under way. Every failure is an AutoMarketError, with
    the status that the server gave: a failed write never hides it. An error that `chunks` raises ends the call and is
    raised to the reader.
    """

    async def responses(self) -> AsyncGenerator[ResponseT]:
        """Give the answers as they come.

        Raises:
            AutoMarketError: the call failed.
        """
        try:
            while (response := await self._call.read()) is not EOF:
                yield response
        except _ENDED:
            pass
        except asyncio.CancelledError as error:
            self._give_way(error)
        if failure := await self._failure():
            raise failure


class UploadCall(_SendingCall[RequestT], Generic[RequestT, ResponseT]):
    """A call that streams requests and gets one answer, used and failing as BidiCall does."""

    async def response(self) -> ResponseT:
        """Wait until everything is sent, and give the answer.

        Raises:
            AutoMarketError: the call failed.
        """
        try:
            return await self._call
        except _ENDED:
            pass
        except asyncio.CancelledError as error:
            self._give_way(error)
        raise await self._failure() or CallCancelled("the call was given up")


async def call_error(call: Any) -> AutoMarketError | None:
    """Wait for the end of a call and give what it failed with, or None."""
    with contextlib.suppress(grpc.aio.AioRpcError):
        code = await call.code()
        if code == grpc.StatusCode.OK:
            return None
        trailers = await call.trailing_metadata()
        return from_status(code.value[0], await call.details() or "", details_of(trailers))
    return CallCancelled("the call was cancelled")
