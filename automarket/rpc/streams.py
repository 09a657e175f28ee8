"""Client side of calls that stream requests: header first, chunks when the server says so, the real status last."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import grpc.aio

from automarket.rpc.status import details_of, from_status

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from automarket.errors import AutoMarketError

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

EOF: Any = vars(grpc.aio)["EOF"]


class BidiCall(Generic[RequestT, ResponseT]):
    """One bidirectional call that sends a header, waits for initial metadata, then sends chunks while results come.

    Use it as `async with`; leaving cancels a call that is still under way. Every failure is an AutoMarketError, with
    the status that the server gave: a failed write never hides it. An error that `chunks` raises ends the call and is
    raised to the reader.
    """

    def __init__(self, call: Any, header: RequestT, chunks: AsyncIterable[RequestT] | None = None) -> None:
        self._call = call
        self._header = header
        self._chunks = chunks
        self._sender: asyncio.Task[None] | None = None
        self._source_error: BaseException | None = None

    async def __aenter__(self) -> BidiCall[RequestT, ResponseT]:
        """Begin to send."""
        self._sender = asyncio.create_task(self._send())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cancel what is still under way."""
        self._call.cancel()
        if self._sender is not None:
            self._sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sender

    async def _send(self) -> None:
        try:
            await self._call.write(self._header)
            if self._chunks is not None:
                await self._call.initial_metadata()
                await self._send_chunks(self._chunks)
            await self._call.done_writing()
        except (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
            return  # the call has ended; whoever reads gets its status

    async def _send_chunks(self, chunks: AsyncIterable[RequestT]) -> None:
        source = aiter(chunks)
        while True:
            try:
                chunk = await anext(source)
            except StopAsyncIteration:
                return
            except Exception as error:  # noqa: BLE001 - raised again to whoever reads the answers
                self._source_error = error
                self._call.cancel()
                return
            await self._call.write(chunk)

    async def responses(self) -> AsyncIterator[ResponseT]:
        """Give the answers as they come.

        Raises:
            AutoMarketError: the call failed.
        """
        try:
            while (response := await self._call.read()) is not EOF:
                yield response
        except (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
            pass
        except asyncio.CancelledError:
            if self._source_error is None:
                raise
        if self._source_error is not None:
            raise self._source_error
        if error := await call_error(self._call):
            raise error


async def call_error(call: Any) -> AutoMarketError | None:
    """Wait for the end of a call and give what it failed with, or None."""
    code = await call.code()
    if code == grpc.StatusCode.OK:
        return None
    trailers = await call.trailing_metadata()
    return from_status(code.value[0], await call.details() or "", details_of(trailers))
