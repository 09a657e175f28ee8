"""The store: everything that AssetService does, in plain values."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from asset_store.adopt import Adopter
from asset_store.casts import Caster
from asset_store.database import Database
from asset_store.describe import describe
from asset_store.files import Files
from asset_store.index import Index
from asset_store.part import CHUNK_BYTES, Whole
from asset_store.space import Space, disk_errors
from asset_store.tasks import uninterrupted
from asset_store.upload_log import UploadLog
from asset_store.uploads import Uploads
from asset_store.verify import Verifier, unknown
from automarket.errors import (
    DigestMismatch,
    InputEmpty,
    InputIncomplete,
    InputTooLarge,
    OffsetInvalid,
)
from automarket.stored import StoredAsset, now

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from asset_store.listing import Query
    from asset_store.part import Part, Plan
    from asset_store.settings import StoreSettings
    from automarket.media.info import CastSpec
    from automarket.stored import CastResult

log = logging.getLogger("asset_store")


class Store:
    """One content-addressed store on local disk.

    Raises:
        StateError: another store uses the data directory.
    """

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self.files = Files(settings.data_dir)
        self._database = Database(settings.data_dir / "index.sqlite")
        self.index = Index(self._database)
        self.space = Space(self.files, self.index, settings.quota_bytes)
        self._log = UploadLog(self._database)
        self.uploads = Uploads(self.files.uploads, self._log, self.space, self._whole)
        self.verifier = Verifier(self.files, self.index)
        self._caster = Caster(self.files, self.index, self.space, self.verifier)
        self._adopter = Adopter(self.files, self.space, settings.max_asset_bytes, claim=self._claim, keep=self._keep)

    def close(self) -> None:
        """Write down what is only in memory and let another store use the directory. Blocks."""
        self.index.flush()
        self._database.close()
        self.files.close()

    async def sweep(self) -> None:
        """Drop uploads that do not go on, and write down when assets were last used."""
        dropped = await self.uploads.sweep(self._settings.upload_seconds)
        await asyncio.to_thread(self.files.forget_incoming, self._settings.upload_seconds)
        await asyncio.to_thread(self.index.flush)
        if dropped:
            log.info("dropped idle uploads", extra={"uploads": dropped})

    def _whole(self, digest: str) -> StoredAsset | None:
        """Give an asset whose bytes are there. Blocks."""
        entry = self.index.find(digest)
        if entry is None or entry.corrupt or not self.files.path_of(digest).exists():
            return None
        return entry.asset

    # --- finding ---

    async def find_missing(self, digests: list[str]) -> list[str]:
        """Give those whose bytes are not there, in order; the others count as used now, so that they stay."""

        def look() -> list[str]:
            missing = [digest for digest in digests if self._whole(digest) is None]
            self.index.touch(set(digests) - set(missing))
            return missing

        return await asyncio.to_thread(look)

    async def get(self, digest: str, *, verify: bool = False) -> StoredAsset:
        """Describe an asset.

        Raises:
            AssetUnknown: there is none.
            AssetCorrupt: `verify` is set and its bytes are damaged.
        """
        if verify:
            (await self.verifier.open(digest)).close()
        entry = await asyncio.to_thread(self.index.find, digest)
        if entry is None or not (entry.corrupt or self.files.path_of(digest).exists()):
            raise unknown(digest)
        return entry.asset

    async def list(self, query: Query) -> tuple[list[StoredAsset], str]:
        """Give one page of assets, newest first, and the token of the next."""
        return await asyncio.to_thread(self.index.page, query)

    # --- bytes out ---

    async def read(self, digest: str, offset: int, limit: int) -> AsyncGenerator[bytes]:
        """Give bytes from an offset on, at most `limit` of them unless it is 0, in pieces of at most 1 MiB.

        Raises:
            AssetUnknown: there are none.
            AssetCorrupt: they are damaged; nothing was given.
            OffsetInvalid: the offset is past the end.
        """
        with await self.verifier.open(digest) as file:
            size = os.fstat(file.fileno()).st_size
            if offset > size:
                raise OffsetInvalid(
                    f"byte {offset} is past the end: the asset has {size}", fields={"offset_bytes": f"at most {size}"}
                )
            self.index.touch([digest])
            end = min(offset + limit, size) if limit else size
            while offset < end:
                data = await asyncio.to_thread(os.pread, file.fileno(), min(CHUNK_BYTES, end - offset), offset)
                if not data:
                    return
                yield data
                offset += len(data)

    # --- bytes in ---

    @asynccontextmanager
    async def writing(self, plan: Plan) -> AsyncGenerator[Part]:
        """Begin an upload or go on with it.

        Raises:
            InputTooLarge: it is larger than the store takes.
            AutoMarketError: as `Uploads.writing`.
        """
        most = self._settings.max_asset_bytes
        if most is not None and (plan.size or 0) > most:
            raise InputTooLarge(
                f"the asset has {plan.size} bytes, and the store takes {most} at most",
                fields={"header.size_bytes": f"at most {most}"},
            )
        async with self.uploads.writing(plan) as part:
            part.most = most
            yield part

    async def upload_progress(self, upload_id: str) -> tuple[int, StoredAsset | None]:
        """Say how many bytes of an upload are durable, and what it became.

        Raises:
            UploadUnknown: nothing of it is here.
        """
        return await asyncio.to_thread(self.uploads.progress, upload_id)

    async def finish(self, part: Part) -> StoredAsset:
        """Make an upload an asset, durably.

        An upload that brought no bytes is complete when the asset that it names is there already.

        Raises:
            InputEmpty: it has no bytes.
            InputIncomplete: it has fewer than declared; what came is kept.
            DigestMismatch: they are not those that the header names.
        """
        return await uninterrupted(self._finish(part))

    async def _finish(self, part: Part) -> StoredAsset:
        plan = part.plan
        if part.asset is None and not part.offset and plan.digest:
            part.asset = await asyncio.to_thread(self._claim, plan, plan.digest)
        if part.asset is None:
            whole = Whole(part.path, _checked(part), part.offset, await describe(part.path))
            part.close()
            part.asset = await asyncio.to_thread(self._keep, plan, whole)
            self.space.release(part.offset)
        return part.asset

    def _claim(self, plan: Plan, digest: str) -> StoredAsset | None:
        """Give an asset whose bytes are there as one that was uploaded."""
        asset = self._whole(digest)
        if asset is None:
            return None
        found = self.index.add(
            replace(asset, accessed=now(), lineage=plan.lineage, derived=_is_cast(plan), file_name=plan.file_name)
        )
        self.uploads.drop(plan.upload_id)
        return found

    def _keep(self, plan: Plan, whole: Whole) -> StoredAsset:
        # First the index, then the rename: whatever is cut off between them, the upload is still whole and can be
        # finished again, and nothing that is there is unknown.
        moment = now()
        asset = StoredAsset(
            whole.digest,
            whole.size,
            whole.facts.media_type,
            whole.facts.roles,
            created=moment,
            accessed=moment,
            media_info=whole.facts.media_info,
            lineage=plan.lineage,
            derived=_is_cast(plan),
            file_name=plan.file_name,
        )
        with self._database.transaction(durable=True):
            found = self.index.add(asset)
            self._log.complete(plan.upload_id, whole.digest)
        with disk_errors():
            self.files.keep(whole.path, whole.digest)
        self.verifier.trust(whole.digest, whole.modified_ns)
        return found

    async def adopt(self, plan: Plan) -> StoredAsset:
        """Take over a file that was put into the store's folder.

        Raises:
            UploadBusy: a call writes an upload of that id.
            AutoMarketError: as `Adopter.adopt`.
        """
        with self.uploads.held(plan.upload_id):
            return await self._adopter.adopt(plan)

    # --- the rest ---

    async def delete(self, digest: str) -> None:
        """Delete an asset, and the casts that were made from it: they could not be made again.

        Raises:
            AssetUnknown: there is none.
        """
        await self.get(digest)
        await uninterrupted(asyncio.to_thread(self._delete, digest))

    def _delete(self, digest: str) -> None:
        casts = self.index.casts_of(digest)
        self.space.discard(digest)
        for cast in casts:
            if not self.index.has_parent(cast):
                self._delete(cast)

    async def cast(self, digest: str, spec: CastSpec) -> CastResult:
        """Make an asset play a role, or find it made.

        Raises:
            AssetUnknown: there is none.
            AssetCorrupt: its bytes are damaged.
            AutoMarketError: it cannot play the role, as `automarket.media.cast` says.
        """
        return await self._caster.cast(digest, spec)


def _is_cast(plan: Plan) -> bool:
    return plan.lineage is not None and plan.lineage.cast is not None and bool(plan.lineage.parents)


def _checked(part: Part) -> str:
    """Give the digest of an upload that is all there."""
    plan, digest = part.plan, part.hasher.digest
    if part.offset < (plan.size or 0):
        raise InputIncomplete(
            f"the upload ended at byte {part.offset} of {plan.size}",
            hint="what came is kept: go on with the same upload_id",
            metadata={"committed_offset": str(part.offset)},
        )
    if not part.offset:
        raise InputEmpty("an asset has at least one byte", fields={"chunk": "at least one byte in all"})
    if plan.digest is not None and plan.digest != digest:
        raise DigestMismatch(
            f"the bytes that came are {digest}, and the header names {plan.digest}",
            hint="send them again; did the file change meanwhile?",
        )
    return digest
