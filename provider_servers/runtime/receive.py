"""Taking the request stream of a call apart into its inputs, under the contract's rules for chunks."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import aclosing
from typing import TYPE_CHECKING

from automarket.errors import (
    ChunkTooLarge,
    DigestMismatch,
    HeaderRepeated,
    InputIncomplete,
    InputOutOfOrder,
    InputTooLarge,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Sequence
    from pathlib import Path

    from automarket.v1 import model_service_pb2, transform_pb2
    from provider_servers.runtime.checkpoints import Checkpoints
    from provider_servers.runtime.workdir import Workdir

MAX_CHUNK_BYTES = 1024 * 1024


class InputStreams:
    """The inputs of one call that come as chunks.

    One piece at a time waits for its reader, so what a slow model does not take stays with the caller. Inputs follow
    one another on the wire; an author may read them in any order, and those that are skipped wait in files.

    Args:
        requests: the messages after the first one.
        inputs: what the header declares.
        folder: where inputs wait that are read after a later one.
        checkpoints: takes the caller's confirmations, and the end of the stream.
    """

    def __init__(
        self,
        requests: AsyncIterable[model_service_pb2.TransformRequest],
        inputs: Sequence[transform_pb2.Input],
        folder: Workdir,
        checkpoints: Checkpoints,
    ) -> None:
        self._requests = requests
        self._inputs = inputs
        self._waiting = [number for number, one in enumerate(inputs) if one.WhichOneof("source") == "stream"]
        # None marks the end of an input.
        self._pieces = {number: asyncio.Queue[bytes | None](maxsize=1) for number in self._waiting}
        self._offset = 0
        self._hash = hashlib.sha256()
        self._folder = folder
        self._checkpoints = checkpoints
        self._unread = list(self._waiting)
        self._aside: dict[int, Path] = {}
        self._moving = asyncio.Lock()

    async def pump(self) -> None:
        """Take the request stream apart until it ends.

        Raises:
            HeaderRepeated, ChunkTooLarge, InputOutOfOrder, InputTooLarge, InputIncomplete, DigestMismatch,
            CheckpointUnknown
        """
        async for request in self._requests:
            kind = request.WhichOneof("payload")
            if kind not in ("chunk", "checkpoint_stored") or request.HasField("target"):
                raise HeaderRepeated("a later message is not a chunk", hint="send target and header once, first")
            if kind == "checkpoint_stored":
                self._checkpoints.confirm(request.checkpoint_stored.sequence)
            else:
                await self._take(request.chunk)
        self._checkpoints.end()
        if self._waiting:
            number = self._waiting[0]
            raise InputIncomplete(
                f"the stream ended before input {number} was complete",
                hint="mark the last chunk of every input with last=true",
                fields={f"header.inputs[{number}]": "incomplete"},
            )

    async def _take(self, chunk: transform_pb2.InputChunk) -> None:
        self._check(chunk)
        self._hash.update(chunk.data)
        self._offset += len(chunk.data)
        pieces = self._pieces[chunk.input]
        if chunk.data:
            await pieces.put(chunk.data)
        if chunk.last:
            if chunk.sha256 and chunk.sha256 != self._hash.digest():
                message = f"input {chunk.input} is not the bytes that its digest names"
                raise DigestMismatch(message, hint="send it again", fields={"chunk.sha256": "differs"})
            self._waiting.pop(0)
            self._offset, self._hash = 0, hashlib.sha256()
            await pieces.put(None)

    def _check(self, chunk: transform_pb2.InputChunk) -> None:
        if len(chunk.data) > MAX_CHUNK_BYTES:
            message = f"a chunk has {len(chunk.data):,} bytes; at most {MAX_CHUNK_BYTES:,} are allowed"
            raise ChunkTooLarge(message, hint="send chunks of 256 KiB to 1 MiB", fields={"chunk.data": "too long"})
        if not self._waiting:
            raise InputOutOfOrder("a chunk came after the last input was complete")
        number = self._waiting[0]
        if chunk.input != number:
            message = f"a chunk of input {chunk.input} came, and input {number} is not complete"
            raise InputOutOfOrder(message, fields={"chunk.input": f"expected {number}"})
        if chunk.offset_bytes != self._offset:
            message = f"a chunk begins at byte {chunk.offset_bytes:,}; the next byte is {self._offset:,}"
            raise InputOutOfOrder(message, fields={"chunk.offset_bytes": f"expected {self._offset}"})
        declared = self._inputs[number]
        if declared.HasField("size_bytes") and self._offset + len(chunk.data) > declared.size_bytes:
            message = f"input {number} is longer than the {declared.size_bytes:,} bytes that were declared"
            raise InputTooLarge(message, fields={f"header.inputs[{number}].size_bytes": "exceeded"})

    async def read(self, number: int) -> AsyncGenerator[bytes]:
        """Give the pieces of one input as they come. An input can be read once."""
        async with self._moving:
            while self._unread and self._unread[0] < number:
                await self._set_aside(self._unread.pop(0))
            if number in self._unread:
                self._unread.remove(number)
        if number in self._aside:
            with self._aside[number].open("rb") as file:
                while piece := await asyncio.to_thread(file.read, MAX_CHUNK_BYTES):
                    yield piece
            return
        async with aclosing(self._flow(number)) as pieces:
            async for piece in pieces:
                yield piece

    async def _flow(self, number: int) -> AsyncGenerator[bytes]:
        while (piece := await self._pieces[number].get()) is not None:
            yield piece

    async def _set_aside(self, number: int) -> None:
        """Write an input to a file: the one that is wanted comes after it on the wire."""
        path = self._folder.path / f"aside-{number}"
        with path.open("wb") as file:
            async with aclosing(self._flow(number)) as pieces:
                async for piece in pieces:
                    await asyncio.to_thread(file.write, piece)
        self._aside[number] = path
