"""Taking over files that a caller on the same machine put into the store's folder: nothing crosses a socket."""

from __future__ import annotations

import asyncio
import stat
from typing import TYPE_CHECKING

from asset_store.describe import describe
from asset_store.part import Whole
from asset_store.tasks import uninterrupted
from automarket.digests import digest_file
from automarket.errors import (
    DigestMismatch,
    InputEmpty,
    InputIncomplete,
    InputTooLarge,
    InvalidRequestError,
    UploadUnknown,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from pathlib import Path

    from asset_store.files import Files
    from asset_store.part import Plan
    from asset_store.space import Space
    from automarket.stored import StoredAsset


class Adopter:
    """Makes assets of files in `incoming`.

    Args:
        most: bytes of the largest asset that is taken; None is no bound.
        claim: gives the asset of a digest whose bytes are there already, claimed by an upload. Blocks.
        keep: makes a file an asset, durably. Blocks.
    """

    def __init__(
        self,
        files: Files,
        space: Space,
        most: int | None,
        *,
        claim: Callable[[Plan, str], StoredAsset | None],
        keep: Callable[[Plan, Whole], StoredAsset],
    ) -> None:
        self._files = files
        self._space = space
        self._most = most
        self._claim = claim
        self._keep = keep

    async def adopt(self, plan: Plan) -> StoredAsset:
        """Take over the file of an upload; whatever comes of it, it is not in `incoming` any more.

        Raises:
            UploadUnknown: there is no such file.
            InvalidRequestError: it is no file, or not as long as declared.
            DigestMismatch: it is not what the header names.
            QuotaExceeded, DiskFull: there is no room.
        """
        return await uninterrupted(self._adopt(plan))

    async def _adopt(self, plan: Plan) -> StoredAsset:
        folder = await asyncio.to_thread(self._files.make_workdir)
        try:
            path = await asyncio.to_thread(self._files.take, plan.upload_id, folder)
            if path is None:
                raise UploadUnknown(f"no file {plan.upload_id} is in the store's folder", hint="send it by Write")
            status = _checked(path, plan, self._most)
            size = status.st_size
            await asyncio.to_thread(self._space.reserve, size, on_disk=size)
            try:
                return await self._take(plan, path, status)
            finally:
                self._space.release(size)
        finally:
            await asyncio.to_thread(self._files.remove_workdir, folder)

    async def _take(self, plan: Plan, path: Path, status: os.stat_result) -> StoredAsset:
        digest = await asyncio.to_thread(digest_file, path)
        if plan.digest is not None and plan.digest != digest:
            raise DigestMismatch(
                f"the file is {digest}, and the header names {plan.digest}", hint="did the file change meanwhile?"
            )
        if (found := await asyncio.to_thread(self._claim, plan, digest)) is not None:
            return found
        whole = Whole(path, digest, status.st_size, await describe(path), status.st_mtime_ns)
        return await asyncio.to_thread(self._keep, plan, whole)


def _checked(path: Path, plan: Plan, most: int | None) -> os.stat_result:
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        fields = {"header.upload_id": "names what is no file"}
        raise InvalidRequestError("what was put into the store's folder is no file", fields=fields)
    size = status.st_size
    if not size:
        raise InputEmpty("an asset has at least one byte", fields={"header.upload_id": "names an empty file"})
    if plan.size is not None and size != plan.size:
        wrong = InputIncomplete if size < plan.size else InputTooLarge
        raise wrong(
            f"the file has {size} bytes, and {plan.size} were declared", fields={"header.size_bytes": "differs"}
        )
    if most is not None and size > most:
        raise InputTooLarge(f"the asset has {size} bytes, and the store takes {most} at most")
    return status
