"""Taking the chunks of a call's request stream apart into its inputs, under the contract's rules."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

from automarket.errors import (
    AutoMarketError,
    ChunkTooLarge,
    DigestMismatch,
    HeaderRepeated,
    InputIncomplete,
    InputOutOfOrder,
    InputTooLarge,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable

    from automarket.v1 import model_service_pb2, transform_pb2

MAX_CHUNK_BYTES = 1024 * 1024
_END = None


class InputStreams:
    """The inputs of one call that come as chunks.

    One piece waits for its reader at a time, so what a slow model does not take stays with the caller. Inputs follow
    one another; reading them in another order would wait for ever, so a later input is read to memory never: the
    author reads them in slot order.
    """

    def __init__(self, requests: AsyncIterable[model_service_pb2.TransformRequest], inputs: list[transform_pb2.Input]):
        self._requests = requests
        self._inputs = inputs
        self._streamed = [number for number, one in enumerate(inputs) if one.WhichOneof("source") == "stream"]
        self._pieces: dict[int, asyncio.Queue[Any]] = {number: asyncio.Queue(maxsize=1) for number in self._streamed}
        self._offset = 0
        self._hash = hashlib.sha256()

    async def pump(self) -> None:
        """Take the request stream apart until it ends; an error goes to whoever reads the input."""
        try:
            await self._pump()
        except AutoMarketError as error:
            for number in self._streamed:
                await self._pieces[number].put(error)

    async def _pump(self) -> None:
        waiting = list(self._streamed)
        async for request in self._requests:
            if request.WhichOneof("payload") != "chunk" or request.HasField("target"):
                raise HeaderRepeated("a later message is not a chunk", hint="send target and header once, first")
            chunk = request.chunk
            if not waiting:
                raise InputOutOfOrder("a chunk came after the last input was complete")
            self._check(chunk, waiting[0])
            self._hash.update(chunk.data)
            self._offset += len(chunk.data)
            if chunk.data:
                await self._pieces[waiting[0]].put(chunk.data)
            if chunk.last:
                self._check_whole(chunk)
                await self._pieces[waiting.pop(0)].put(_END)
                self._offset, self._hash = 0, hashlib.sha256()
        if waiting:
            raise InputIncomplete(
                f"the stream ended before input {waiting[0]} was complete",
                hint="mark the last chunk of every input with last=true",
                fields={f"header.inputs[{waiting[0]}]": "incomplete"},
            )

    def _check(self, chunk: transform_pb2.InputChunk, expected: int) -> None:
        if len(chunk.data) > MAX_CHUNK_BYTES:
            message = f"a chunk has {len(chunk.data):,} bytes; at most {MAX_CHUNK_BYTES:,} are allowed"
            raise ChunkTooLarge(message, hint="send chunks of 256 KiB to 1 MiB", fields={"chunk.data": "too long"})
        if chunk.input != expected:
            message = f"a chunk of input {chunk.input} came, and input {expected} is not complete"
            raise InputOutOfOrder(message, fields={"chunk.input": f"expected {expected}"})
        if chunk.offset_bytes != self._offset:
            message = f"a chunk begins at byte {chunk.offset_bytes:,}; the next byte is {self._offset:,}"
            raise InputOutOfOrder(message, fields={"chunk.offset_bytes": f"expected {self._offset}"})
        declared = self._inputs[expected]
        if declared.HasField("size_bytes") and self._offset + len(chunk.data) > declared.size_bytes:
            message = f"input {expected} is longer than the {declared.size_bytes:,} bytes that were declared"
            raise InputTooLarge(message, fields={f"header.inputs[{expected}].size_bytes": "exceeded"})

    def _check_whole(self, chunk: transform_pb2.InputChunk) -> None:
        if chunk.sha256 and chunk.sha256 != self._hash.digest():
            raise DigestMismatch(
                f"input {chunk.input} is not the bytes that its digest names", hint="send it again"
            )

    async def read(self, number: int) -> AsyncGenerator[bytes]:
        """Give the pieces of one input as they come."""
        while (piece := await self._pieces[number].get()) is not _END:
            if isinstance(piece, AutoMarketError):
                raise piece
            yield piece
