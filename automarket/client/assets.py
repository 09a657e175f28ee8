"""The asset store as its clients see it: transfers that survive cut connections and send nothing twice."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from automarket.client.download import Download
from automarket.client.nearby import Nearby, copy_whole
from automarket.client.patience import Patience
from automarket.client.sources import StreamSource, source_of
from automarket.client.transfer import Transfer, ask, header_of
from automarket.digests import check_digest
from automarket.errors import (
    AssetUnknown,
    AutoMarketError,
    CallCancelled,
    DigestMismatch,
    InputEmpty,
    StoreUnavailable,
)
from automarket.media.wire import spec_to_proto, to_seconds
from automarket.rpc.channel import errors_mapped
from automarket.rpc.telemetry import inject
from automarket.stored import CastResult, Lineage, StoredAsset, from_proto
from automarket.v1 import asset_service_pb2 as pb
from automarket.v1 import media_pb2
from automarket.v1.asset_service_pb2_grpc import AssetServiceStub

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    import grpc.aio

    from automarket.assets import Asset
    from automarket.assets.roles import Role
    from automarket.media.info import CastSpec
    from automarket.v1.asset_service_pb2_grpc import AssetServiceAsyncStub

__all__ = ["AssetClient", "CastResult", "Lineage", "StoredAsset"]

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

_MOST_DIGESTS = 1000


class AssetClient:
    """The asset store behind a channel: a mesh's, or a store's own.

    Args:
        patience: how long a transfer that was cut tries to go on while nothing moves, in seconds.
        by_file_above: files with more bytes than this pass by file where the store's folder is on this machine; None
            sends every byte.
    """

    def __init__(self, channel: grpc.aio.Channel, *, patience: float = 30.0, by_file_above: int | None = None) -> None:
        self._stub: AssetServiceAsyncStub = AssetServiceStub(channel)
        self._patience = patience
        self._nearby = Nearby(self._stub, by_file_above)

    async def put(
        self,
        source: Path | bytes | Asset,
        *,
        file_name: str = "",
        lineage: Lineage | None = None,
        progress: Callable[[int, int | None], None] | None = None,
        give: bool = False,
    ) -> StoredAsset:
        """Upload a file, bytes or an asset, unless the store has the same bytes.

        The result's `bytes_sent` and `bytes_by_file` say which way they went; where both are 0, the store had them.
        An upload that was cut, even by the end of this program, goes on where it was when it is asked for again.

        Args:
            source: what to upload.
            file_name: for people; the file's own by default.
            lineage: how it was made, for the output of a transform.
            progress: gets bytes that were sent or copied, and bytes in all.
            give: nobody touches the file any more, so that a store on this machine may take it as it is.

        Raises:
            InputEmpty: there are no bytes.
            QuotaExceeded, DiskFull: the store has no room.
            DigestMismatch: the file changed meanwhile.
            AutoMarketError: the store cannot be reached, or not for too long.
        """
        origin = source_of(source)
        if origin.size == 0:
            raise InputEmpty("an asset has at least one byte", hint="is that the right file?")
        header = header_of(origin, file_name, lineage, digest=await origin.digest())
        if (found := await self._find(header.digest)) and (lineage is not None or not found.derived):
            return found
        adopted = None if found else await self._nearby.put(origin, header, give=give, progress=progress)
        if adopted is not None:
            return adopted
        transfer = Transfer(self._stub, origin, header, self._patience, progress)
        # What is there as a cast, and could be evicted, is claimed by an upload without bytes.
        return await (transfer.run(origin.size or 0) if found else transfer.resume())

    async def put_stream(
        self,
        chunks: AsyncIterable[bytes],
        *,
        file_name: str = "",
        lineage: Lineage | None = None,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> StoredAsset:
        """Upload bytes while they come. They are kept here until the store has them all.

        Raises:
            AutoMarketError: as `put`, and whatever `chunks` raises.
        """
        async with StreamSource(chunks) as origin:
            header = header_of(origin, file_name, lineage)
            header.upload_id = str(uuid.uuid4())
            transfer = Transfer(self._stub, origin, header, self._patience, progress)
            try:
                asset = await transfer.run()
            except BaseException:
                await transfer.give_up()
                raise
            if asset.digest != await origin.digest():
                raise DigestMismatch(f"the store got other bytes than were sent: {asset.digest}", hint="try again")
            return asset

    async def find_missing(self, digests: Sequence[str]) -> Sequence[str]:
        """Give those of the digests that the store lacks, in order."""
        missing: Sequence[str] = []
        for start in range(0, max(len(digests), 1), _MOST_DIGESTS):
            request = pb.FindMissingRequest(digests=digests[start : start + _MOST_DIGESTS])
            missing = [*missing, *(await ask(self._stub.FindMissing, request)).missing_digests]
        return missing

    async def stat(self, digest: str, *, verify: bool = False) -> StoredAsset:
        """Describe an asset; with `verify` its bytes are checked first.

        Raises:
            AssetUnknown: the store lacks it.
            AssetCorrupt: its bytes are damaged.
        """
        return from_proto((await ask(self._stub.Get, pb.GetRequest(digest=digest, verify=verify))).asset)

    async def lineage(self, digest: str) -> Sequence[StoredAsset]:
        """Give an asset and all that it was made from, each once, before what it was made from itself.

        What was evicted or deleted is left out, and with it what only it was made from.

        Raises:
            AssetUnknown: the store lacks the asset itself.
        """
        found = [await self.stat(digest)]
        seen = {found[0].digest}
        for asset in found:
            for parent in asset.lineage.parents if asset.lineage else ():
                if parent not in seen:
                    seen.add(parent)
                    with suppress(AssetUnknown):
                        found.append(await self.stat(parent))
        return found

    async def cast(self, digest: str, spec: CastSpec) -> CastResult:
        """Let the store make an asset play a role, or find it made.

        Raises:
            AutoMarketError: it cannot play the role, or is damaged, unknown or refused.
        """
        answer = await ask(self._stub.Cast, pb.CastRequest(digest=digest, spec=spec_to_proto(spec)))
        return CastResult(from_proto(answer.asset), answer.cached, to_seconds(answer.elapsed))

    async def delete(self, digest: str) -> None:
        """Delete an asset and the casts that were made from it.

        Raises:
            AssetUnknown: the store lacks it.
        """
        await ask(self._stub.Delete, pb.DeleteRequest(digest=digest))

    async def read(self, digest: str, offset: int = 0, limit: int = 0) -> AsyncGenerator[bytes]:
        """Give bytes from an offset on, at most `limit` of them unless it is 0; goes on after a cut connection.

        Raises:
            AssetUnknown: the store lacks the asset.
            AssetCorrupt: its bytes are damaged.
            OffsetInvalid: the offset is past the end.
        """
        end = offset + limit if limit else None
        patience = Patience(self._patience)
        contact = False
        while end is None or offset < end:
            request = pb.ReadRequest(digest=digest, offset_bytes=offset, limit_bytes=0 if end is None else end - offset)
            try:
                async with aclosing(_responses(self._stub.Read(request, metadata=inject()))) as responses:
                    async for response in responses:
                        yield response.data
                        offset += len(response.data)
                        contact = True
                        patience.renew()
            except AutoMarketError as error:
                if not contact and not isinstance(error, StoreUnavailable):
                    raise
                await patience.wait(error)
            else:
                return

    async def get(
        self, digest: str, out: Path, *, progress: Callable[[int, int | None], None] | None = None
    ) -> StoredAsset:
        """Download an asset to a file, which appears when it is whole and checked.

        A download that was cut, even by the end of this program, goes on where it was when it is asked for again.

        Args:
            digest: which asset.
            out: the file; one that is there is replaced.
            progress: gets bytes that are here and bytes in all.

        Raises:
            AssetUnknown: the store lacks it.
            AssetCorrupt: its bytes are damaged in the store.
            DigestMismatch: they were damaged on the way.
        """
        check_digest(digest)
        asset = await self.stat(digest)
        if (here := await self._nearby.file(digest) if self._nearby.is_for(asset.size_bytes) else None) is not None:
            asset = await self.stat(digest, verify=True)
            if await copy_whole(here, out, asset.size_bytes, progress):
                return asset
        download = Download(out, digest)
        try:
            await asyncio.to_thread(download.open)
            if download.offset < asset.size_bytes:
                async with aclosing(self.read(digest, download.offset)) as pieces:
                    async for data in pieces:
                        await asyncio.to_thread(download.append, data)
                        if progress is not None:
                            progress(download.offset, asset.size_bytes)
            await asyncio.to_thread(download.finish)
        finally:
            await asyncio.to_thread(download.close)
        return asset

    async def file_here(self, digest: str) -> Path | None:
        """Give the store's own file, checked, where it is on this machine and large enough for that; never change it.

        Raises:
            AssetUnknown: the store lacks it.
            AssetCorrupt: its bytes are damaged.
        """
        asset = await self.stat(digest, verify=True)
        return await self._nearby.file(digest) if self._nearby.is_for(asset.size_bytes) else None

    async def list(
        self,
        *,
        role: Role | None = None,
        media_type: str = "",
        derived: bool | None = None,
        parent: str = "",
        created_after: datetime | None = None,
        page_size: int = 0,
    ) -> AsyncGenerator[StoredAsset]:
        """Give assets, newest first; every filter that is set narrows it.

        Args:
            role: what they can play.
            media_type: beginning of the media type, e.g. "video/".
            derived: only those that can be made again, or none of them.
            parent: digest of what they were made from.
            created_after: when the store got them, or later.
            page_size: how many are asked for at a time; 0 leaves it to the store.
        """
        request = pb.ListRequest(
            page_size=page_size,
            role=media_pb2.Role.ValueType(role.number if role else 0),
            media_type_prefix=media_type,
            derived=derived,
            parent_digest=parent,
        )
        if created_after is not None:
            request.created_after.FromDatetime(created_after)
        while True:
            page = await ask(self._stub.List, request)
            for asset in page.assets:
                yield from_proto(asset)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def _find(self, digest: str) -> StoredAsset | None:
        """Give an asset when its bytes are there; wait for a store that is away for a moment."""
        patience = Patience(self._patience)
        while True:
            try:
                return None if await self.find_missing([digest]) else await self.stat(digest)
            except AssetUnknown:
                return None
            except StoreUnavailable as error:
                await patience.wait(error)


async def _responses(call: grpc.aio.UnaryStreamCall[Any, ResponseT]) -> AsyncGenerator[ResponseT]:
    """Give the answers of a call; the server's end of it is an AutoMarketError, never a cancelled task."""
    try:
        with errors_mapped():
            async for response in call:
                yield response
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise CallCancelled("the server gave the call up") from None
    finally:
        call.cancel()
