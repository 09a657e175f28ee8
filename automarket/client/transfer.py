"""One upload: attempt after attempt, each going on where the store says that the one before came to."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from automarket.client.patience import Patience
from automarket.client.sources import plain_name
from automarket.errors import AutoMarketError, UploadBusy, UploadUnknown
from automarket.rpc.channel import errors_mapped
from automarket.rpc.streams import UploadCall
from automarket.rpc.telemetry import inject
from automarket.stored import StoredAsset, from_proto, lineage_to_proto
from automarket.v1 import asset_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    import grpc.aio

    from automarket.client.sources import Source
    from automarket.stored import Lineage
    from automarket.v1.asset_service_pb2_grpc import AssetServiceAsyncStub

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

_UPLOADS = uuid.UUID("6ba7f1a3-6a5e-4e0b-8d5d-9a1f4c1d2e77")
_ASK_FIRST_BYTES = 8 * 1024 * 1024  # of so much an earlier program may have sent a part that is worth asking for
_GIVE_UP_SECONDS = 1.0


def header_of(origin: Source, file_name: str, lineage: Lineage | None, digest: str = "") -> pb.UploadHeader:
    """Give the header of an upload. Its id follows from it: the same file, sent again, goes on where it was."""
    header = pb.UploadHeader(
        digest=digest,
        size_bytes=origin.size,
        file_name=plain_name(file_name or origin.name),
        lineage=None if lineage is None else lineage_to_proto(lineage),
    )
    header.upload_id = str(uuid.uuid5(_UPLOADS, header.SerializeToString(deterministic=True).hex()))
    return header


async def ask(method: grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT], request: RequestT) -> ResponseT:
    """Make a unary call.

    Raises:
        AutoMarketError: it failed.
    """
    with errors_mapped():
        return await method(request, metadata=inject())


class Transfer:
    """One upload.

    Args:
        patience: how long it tries to go on while nothing moves, in seconds.
        progress: gets bytes sent and bytes in all.
    """

    def __init__(
        self,
        stub: AssetServiceAsyncStub,
        origin: Source,
        header: pb.UploadHeader,
        patience: float,
        progress: Callable[[int, int | None], None] | None,
    ) -> None:
        self._stub = stub
        self._origin = origin
        self._header = header
        self._patience = Patience(patience)
        self._progress = progress
        self._sent = 0
        self._accepted = False

    async def resume(self) -> StoredAsset:
        """Upload, going on with what an earlier program has sent. Raises as `run` does."""
        known = await self._ask_where() if (self._origin.size or 0) > _ASK_FIRST_BYTES else 0
        return known if isinstance(known, StoredAsset) else await self.run(known)

    async def run(self, offset: int = 0) -> StoredAsset:
        """Upload from an offset on.

        Raises:
            AutoMarketError: the store refuses the upload, or cannot be reached for too long.
        """
        while True:
            try:
                return await self._attempt(offset)
            except AutoMarketError as error:
                if not self._in_contact(error):
                    raise
                await self._patience.wait(error)
            found = await self._ask_where()
            if isinstance(found, StoredAsset):
                return replace(found, bytes_sent=self._sent)
            if found > offset:  # by this call, or by another one that sends the same
                self._patience.renew()
            offset = found

    async def _attempt(self, offset: int) -> StoredAsset:
        call: Any = self._stub.Write(metadata=inject())
        first = pb.WriteRequest(header=self._header)
        async with UploadCall[pb.WriteRequest, pb.WriteResponse](call, first, self._chunks(offset)) as upload:
            answer = await upload.response()
        return replace(from_proto(answer.asset), bytes_sent=self._sent)

    async def _chunks(self, offset: int) -> AsyncGenerator[pb.WriteRequest]:
        self._accepted = True
        async with aclosing(self._origin.pieces(offset)) as pieces:
            async for data in pieces:
                yield pb.WriteRequest(chunk=pb.UploadChunk(offset_bytes=offset, data=data))
                offset += len(data)
                self._sent += len(data)
                if self._progress is not None:
                    self._progress(offset, self._origin.size)

    def _in_contact(self, error: AutoMarketError) -> bool:
        """Tell whether the store was ever reached; if not, trying again would only hide that nobody is there."""
        # A file was asked after before; and every server of the mesh says `retry` in its errors.
        return self._accepted or self._origin.size is not None or "retry" in error.metadata

    async def _ask_where(self) -> int | StoredAsset:
        """Ask where to go on; give the asset when it is complete."""
        while True:
            try:
                answer = await ask(self._stub.GetUpload, pb.GetUploadRequest(upload_id=self._header.upload_id))
                return from_proto(answer.asset) if answer.HasField("asset") else answer.committed_offset
            except UploadUnknown:
                return 0
            except AutoMarketError as error:
                await self._patience.wait(error)

    async def give_up(self) -> None:
        """Let the store drop the upload, if it can be told at once; else it does so by itself after a day."""
        request = pb.DeleteUploadRequest(upload_id=self._header.upload_id)
        with contextlib.suppress(AutoMarketError, TimeoutError):
            async with asyncio.timeout(_GIVE_UP_SECONDS):
                while True:
                    try:
                        await ask(self._stub.DeleteUpload, request)
                    except UploadBusy as error:  # the call that was ended just now
                        await self._patience.wait(error)
                    else:
                        return
