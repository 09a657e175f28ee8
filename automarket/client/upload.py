"""How the inputs of a call travel: by digest through the asset store, inline, or as chunks."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from automarket.assets import Asset
from automarket.assets.roles import Role
from automarket.chat.messages import CONVERSATION_TYPE, Conversation
from automarket.client.conversation_wire import TYPED_BYTES, to_json, to_proto
from automarket.client.events import Event, Uploaded, Uploading
from automarket.errors import MethodUnknown
from automarket.stored import StoredAsset
from automarket.v1 import model_service_pb2, transform_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence
    from pathlib import Path

    from automarket.client.assets import AssetClient
    from automarket.client.inputs import BoundInput

INLINE_BYTES = 64 * 1024
INLINE_TOTAL_BYTES = 2 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024


class Stream:
    """The bytes of an input that follow as chunks.

    Attributes:
        size: how many there are; None for those that are still being made.
        is_fresh: they can be sent from the beginning: always those of an asset, live ones until they were first read.
    """

    def __init__(self, source: Asset | bytes | AsyncIterable[bytes]) -> None:
        self._source = source
        self.size = source.size_bytes if isinstance(source, Asset) else None
        if isinstance(source, bytes):
            self.size = len(source)
        self.is_fresh = True

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Give the bytes."""
        if isinstance(self._source, Asset):
            async with aclosing(self._source.chunks()) as pieces:
                async for piece in pieces:
                    yield piece
            return
        if isinstance(self._source, bytes):
            yield self._source
            return
        self.is_fresh = False
        async for piece in self._source:
            yield piece


@dataclass(frozen=True, slots=True)
class Travelling:
    """One input as the header declares it, and the bytes that follow as chunks, if any do."""

    declared: transform_pb2.Input
    stream: Stream | None = None


class Uploader:
    """Decides how inputs travel, and puts those that go by digest into the store.

    Args:
        store: the mesh's asset store.
        use_store: False when the caller wants nothing kept; then inputs travel as chunks.
        report: gets what happens, as the client's own events.
    """

    def __init__(self, store: AssetClient, *, use_store: bool, report: Callable[[Event], None]) -> None:
        self._store = store
        self._use_store = use_store
        self._report = report
        self._inline_left = INLINE_TOTAL_BYTES

    async def prepare(self, inputs: Sequence[BoundInput]) -> list[Travelling]:
        """Give the inputs as they travel, after those that go by digest are in the store."""
        return [await self._prepare(number, one) for number, one in enumerate(inputs)]

    async def _prepare(self, number: int, bound: BoundInput) -> Travelling:
        declared = transform_pb2.Input(slot=bound.slot)
        source = bound.source
        if isinstance(source, Conversation):
            return await self._conversation(number, declared, source)
        if isinstance(source, StoredAsset):
            declared.digest = source.digest
            declared.media_type = source.media_type
            return Travelling(declared)
        if not isinstance(source, Asset):
            declared.stream.SetInParent()
            return Travelling(declared, Stream(source))
        declared.media_type = source.media_type
        declared.size_bytes = source.size_bytes
        if Role.TEXT in source.roles and source.size_bytes <= min(INLINE_BYTES, self._inline_left):
            self._inline_left -= source.size_bytes
            declared.inline = b"".join([piece async for piece in source.chunks()])
        elif digest := await self._put(number, source):
            declared.digest = digest
        else:
            declared.stream.SetInParent()
            return Travelling(declared, Stream(source))
        return Travelling(declared)

    async def _conversation(self, number: int, declared: transform_pb2.Input, source: Conversation) -> Travelling:
        message = await to_proto(source, lambda media: self._put(number, media))
        if message.ByteSize() <= TYPED_BYTES:
            declared.conversation.CopyFrom(message)
            return Travelling(declared)
        written = await asyncio.to_thread(to_json, message)
        declared.media_type = CONVERSATION_TYPE
        declared.size_bytes = len(written)
        if digest := await self._put(number, written):
            declared.digest = digest
            return Travelling(declared)
        declared.stream.SetInParent()
        return Travelling(declared, Stream(written))

    async def _put(self, number: int, asset: Asset | Path | bytes) -> str | None:
        if not self._use_store:
            return None
        try:
            stored = await self._store.put(
                asset, progress=lambda sent, size: self._report(Uploading(number, sent, size))
            )
        except MethodUnknown:  # a provider server by itself: there is no store, so the bytes go with the call
            self._use_store = False
            return None
        self._report(Uploaded(number, stored.digest, stored.size_bytes, stored.bytes_sent, stored.bytes_by_file))
        return stored.digest


async def chunk_messages(inputs: Sequence[Travelling]) -> AsyncGenerator[model_service_pb2.TransformRequest]:
    """Give the messages that follow the header: the inputs that travel as chunks, one after another."""
    for number, one in enumerate(inputs):
        if one.stream is not None:
            async with aclosing(one.stream.pieces()) as pieces, aclosing(_chunks(number, pieces)) as chunks:
                async for chunk in chunks:
                    yield model_service_pb2.TransformRequest(chunk=chunk)


async def _chunks(number: int, pieces: AsyncIterable[bytes]) -> AsyncGenerator[transform_pb2.InputChunk]:
    hasher = hashlib.sha256()
    offset = 0
    async for piece in pieces:
        for start in range(0, len(piece), CHUNK_BYTES):
            data = bytes(piece[start : start + CHUNK_BYTES])
            hasher.update(data)
            yield transform_pb2.InputChunk(input=number, offset_bytes=offset, data=data)
            offset += len(data)
    yield transform_pb2.InputChunk(input=number, offset_bytes=offset, last=True, sha256=hasher.digest())
