"""AssetService: the contract at one end, the store at the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from asset_store.tasks import uninterrupted
from asset_store.wire import plan_of, query_of, upload_id_of
from automarket import stored
from automarket.digests import check_digest
from automarket.errors import HeaderMissing, HeaderRepeated, InvalidRequestError, OffsetInvalid
from automarket.media.wire import spec_from_proto, to_duration
from automarket.v1 import asset_service_pb2 as pb
from automarket.v1.asset_service_pb2_grpc import AssetServiceServicer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asset_store.part import Part
    from asset_store.store import Store

MOST_DIGESTS = 1000


class AssetServicer(AssetServiceServicer):
    """Serves one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def FindMissing(self, request: pb.FindMissingRequest, context: Any) -> pb.FindMissingResponse:
        """Say which digests are missing."""
        if len(request.digests) > MOST_DIGESTS:
            raise InvalidRequestError("too many digests at once", fields={"digests": f"at most {MOST_DIGESTS}"})
        for digest in request.digests:
            check_digest(digest)
        return pb.FindMissingResponse(missing_digests=await self._store.find_missing(list(request.digests)))

    async def Write(self, request_iterator: Any, context: Any) -> pb.WriteResponse:
        """Take an upload as a stream."""
        first: pb.WriteRequest | None = await anext(request_iterator, None)
        if first is None or first.WhichOneof("payload") != "header":
            raise HeaderMissing("the first message is not the header", fields={"header": "first, and only first"})
        async with self._store.writing(plan_of(first.header)) as part:
            await context.send_initial_metadata(())  # it means "send your chunks"
            await _take_chunks(request_iterator, part)
            return pb.WriteResponse(asset=stored.to_proto(await self._store.finish(part)))

    async def Append(self, request: pb.AppendRequest, context: Any) -> pb.AppendResponse:
        """Take one piece of an upload."""
        if not request.HasField("header"):
            raise HeaderMissing("the request has no header", fields={"header": "required"})
        async with self._store.writing(plan_of(request.header)) as part:
            if request.chunk.data:
                await uninterrupted(asyncio.to_thread(part.append, request.chunk.offset_bytes, request.chunk.data))
            if not request.last:
                return pb.AppendResponse(committed_offset=part.offset)
            asset = stored.to_proto(await self._store.finish(part))
            return pb.AppendResponse(committed_offset=part.offset, asset=asset)

    async def GetUpload(self, request: pb.GetUploadRequest, context: Any) -> pb.GetUploadResponse:
        """Say how far an upload is."""
        offset, asset = await self._store.upload_progress(upload_id_of(request.upload_id))
        return pb.GetUploadResponse(committed_offset=offset, asset=None if asset is None else stored.to_proto(asset))

    async def DeleteUpload(self, request: pb.DeleteUploadRequest, context: Any) -> pb.DeleteUploadResponse:
        """Drop an upload."""
        await self._store.uploads.give_up(upload_id_of(request.upload_id))
        return pb.DeleteUploadResponse()

    async def Locate(self, request: pb.LocateRequest, context: Any) -> pb.LocateResponse:
        """Say where the files are."""
        files = self._store.files
        return pb.LocateResponse(store_id=files.identity, directory=str(files.root.absolute()))

    async def Adopt(self, request: pb.AdoptRequest, context: Any) -> pb.AdoptResponse:
        """Take over a file."""
        if not request.HasField("header"):
            raise HeaderMissing("the request has no header", fields={"header": "required"})
        return pb.AdoptResponse(asset=stored.to_proto(await self._store.adopt(plan_of(request.header))))

    async def Read(self, request: pb.ReadRequest, context: Any) -> AsyncIterator[pb.ReadResponse]:
        """Stream bytes."""
        check_digest(request.digest)
        if request.offset_bytes < 0 or request.limit_bytes < 0:
            raise OffsetInvalid("offset and limit are at least 0", fields={"offset_bytes": "at least 0"})
        offset = request.offset_bytes
        async for data in self._store.read(request.digest, offset, request.limit_bytes):
            yield pb.ReadResponse(offset_bytes=offset, data=data)
            offset += len(data)

    async def Get(self, request: pb.GetRequest, context: Any) -> pb.GetResponse:
        """Describe an asset."""
        check_digest(request.digest)
        asset = await self._store.get(request.digest, verify=request.verify)
        return pb.GetResponse(asset=stored.to_proto(asset))

    async def List(self, request: pb.ListRequest, context: Any) -> pb.ListResponse:
        """List assets."""
        assets, following = await self._store.list(query_of(request))
        return pb.ListResponse(assets=map(stored.to_proto, assets), next_page_token=following)

    async def Delete(self, request: pb.DeleteRequest, context: Any) -> pb.DeleteResponse:
        """Delete an asset and its casts."""
        check_digest(request.digest)
        await self._store.delete(request.digest)
        return pb.DeleteResponse()

    async def Cast(self, request: pb.CastRequest, context: Any) -> pb.CastResponse:
        """Make an asset play a role."""
        check_digest(request.digest)
        result = await self._store.cast(request.digest, spec_from_proto(request.spec))
        return pb.CastResponse(
            asset=stored.to_proto(result.asset), cached=result.cached, elapsed=to_duration(result.elapsed)
        )


async def _take_chunks(requests: Any, part: Part) -> None:
    """Write chunks as they come: one is written and digested in a thread while the next one arrives."""
    writing: asyncio.Future[None] | None = None
    try:
        async for request in requests:
            if request.WhichOneof("payload") != "chunk":
                raise HeaderRepeated("a later message is not a chunk", fields={"header": "first, and only first"})
            if writing is not None:
                await asyncio.shield(writing)
            chunk = request.chunk
            writing = asyncio.ensure_future(asyncio.to_thread(part.append, chunk.offset_bytes, chunk.data))
    finally:
        if writing is not None:
            await uninterrupted(_settle(writing))
    if writing is not None:
        writing.result()


async def _settle(writing: asyncio.Future[None]) -> None:
    await asyncio.wait([writing])
    writing.exception()  # looked at: whoever asks for the result hears of it
