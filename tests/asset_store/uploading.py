"""Uploads message by message, as a client in any language sends them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from automarket.digests import digest_bytes
from automarket.errors import UploadUnknown
from automarket.rpc.channel import errors_mapped
from automarket.rpc.streams import UploadCall
from automarket.v1 import asset_service_pb2 as pb
from automarket.v1.asset_service_pb2_grpc import AssetServiceStub
from tests.asset_store.process import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    import grpc.aio

MIB = 1024 * 1024


def header(data: bytes | None = None, **fields: Any) -> pb.UploadHeader:
    """Give a header: with digest and size of `data`, or with neither."""
    known = {} if data is None else {"digest": digest_bytes(data), "size_bytes": len(data)}
    return pb.UploadHeader(**{"upload_id": str(uuid.uuid4()), **known, **fields})


def chunks(data: bytes, begin: int = 0, end: int | None = None, step: int = MIB) -> Iterable[pb.WriteRequest]:
    for offset in range(begin, len(data) if end is None else end, step):
        piece = data[offset : min(offset + step, len(data) if end is None else end)]
        yield pb.WriteRequest(chunk=pb.UploadChunk(offset_bytes=offset, data=piece))


async def write(channel: grpc.aio.Channel, *messages: pb.WriteRequest | pb.UploadHeader) -> pb.WriteResponse:
    """Send messages one after another and close; give the answer, or raise what it failed with."""
    first, *rest = [pb.WriteRequest(header=m) if isinstance(m, pb.UploadHeader) else m for m in messages]

    async def following() -> AsyncIterator[pb.WriteRequest]:
        for message in rest:
            yield message

    call: Any = AssetServiceStub(channel).Write()
    async with UploadCall[pb.WriteRequest, pb.WriteResponse](call, first, following()) as upload:
        return await upload.response()


async def write_until(channel: grpc.aio.Channel, first: pb.UploadHeader, data: bytes, end: int) -> Any:
    """Send part of an upload and leave the call open; give the call."""
    call: Any = AssetServiceStub(channel).Write()
    await call.write(pb.WriteRequest(header=first))
    await call.initial_metadata()
    for message in chunks(data, 0, end):
        await call.write(message)
    await wait_for_offset(channel, first.upload_id, end)
    return call


async def wait_for_offset(channel: grpc.aio.Channel, upload_id: str, offset: int) -> None:
    """Wait until so many bytes of an upload are committed."""

    async def there() -> bool:
        try:
            with errors_mapped():
                answer = await AssetServiceStub(channel).GetUpload(pb.GetUploadRequest(upload_id=upload_id))
        except UploadUnknown:  # not one byte has come
            return False
        return answer.committed_offset >= offset

    await eventually(there)
