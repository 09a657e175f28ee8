"""Uploads: who writes which, how far they are, and going on after a break."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from asset_store.part import CHUNK_BYTES, Part
from asset_store.tasks import uninterrupted
from automarket.digests import Hasher
from automarket.errors import (
    DigestMismatch,
    InputIncomplete,
    InvalidRequestError,
    UploadBusy,
    UploadConflict,
    UploadUnknown,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from pathlib import Path

    from asset_store.part import Plan
    from asset_store.space import Space
    from asset_store.upload_log import Record, UploadLog
    from automarket.stored import StoredAsset

_REMEMBERED = 256
"""Of so many uploads that wait to go on the state of the digest is kept, so that their bytes are not read again."""


class Uploads:
    """The uploads of one store.

    Args:
        folder: where their bytes are.
        find: gives the asset of a digest when its bytes are there.
    """

    def __init__(self, folder: Path, log: UploadLog, space: Space, find: Callable[[str], StoredAsset | None]) -> None:
        self._folder = folder
        self._log = log
        self._space = space
        self._find = find
        self._active: set[str] = set()
        self._hashers: OrderedDict[str, tuple[int, Hasher]] = OrderedDict()
        space.hold(sum(path.stat().st_size for path in folder.iterdir()))

    def path_of(self, upload_id: str) -> Path:
        """Give the file with an upload's bytes."""
        return self._folder / f"{upload_id}.part"

    @asynccontextmanager
    async def writing(self, plan: Plan) -> AsyncGenerator[Part]:
        """Begin an upload or go on with it; nobody else writes it meanwhile.

        A request that can never be completed is dropped at the end, as is one that has brought no bytes.

        Raises:
            UploadBusy: another call writes it.
            UploadConflict: it was begun with another header.
            QuotaExceeded: the quota has no room for the declared size.
            DiskFull: the disk has none.
        """
        self._enter(plan.upload_id)
        part: Part | None = None
        failure: BaseException | None = None
        try:
            part = await uninterrupted(asyncio.to_thread(self._open, plan))
            yield part
        except BaseException as error:
            failure = error
            raise
        finally:
            await uninterrupted(self._leave(plan.upload_id, part, failure))

    @contextmanager
    def held(self, upload_id: str) -> Generator[None]:
        """Let nobody write an upload for the time of the block.

        Raises:
            UploadBusy: a call writes it.
        """
        self._enter(upload_id)
        try:
            yield
        finally:
            self._active.discard(upload_id)

    def _enter(self, upload_id: str) -> None:
        if upload_id in self._active:
            raise UploadBusy(f"another call writes upload {upload_id}", hint="ask GetUpload", retry_after=0.2)
        self._active.add(upload_id)

    async def _leave(self, upload_id: str, part: Part | None, failure: BaseException | None) -> None:
        try:
            if part is not None:
                await asyncio.to_thread(self._close, part, failure)
        finally:
            self._active.discard(upload_id)

    def _open(self, plan: Plan) -> Part:
        record = self._log.find(plan.upload_id)
        if record is not None and record.header != plan.header:
            raise UploadConflict(
                f"upload {plan.upload_id} was begun with another header", fields={"header.upload_id": "in use"}
            )
        path = self.path_of(plan.upload_id)
        if asset := self._result(record):
            part = Part(plan, path, asset.size_bytes, Hasher(), log=self._log, space=self._space)
            part.asset = asset
            return part
        offset = self._settle(path, record)
        self._space.foresee(max((plan.size or 0) - offset, 0))
        hasher = self._hasher(plan.upload_id, path, offset)
        if record is None or record.digest or offset < record.checkpoint or not self._log.same_boot(record):
            self._log.begin(plan, offset)
        return Part(plan, path, offset, hasher, log=self._log, space=self._space)

    def _result(self, record: Record | None) -> StoredAsset | None:
        return self._find(record.digest) if record is not None and record.digest else None

    def _settle(self, path: Path, record: Record | None) -> int:
        """Give how many bytes are there for certain, after cutting off any others."""
        size = path.stat().st_size if path.exists() else 0
        certain = 0 if record is None else size if self._log.same_boot(record) else min(size, record.checkpoint)
        if certain < size:
            os.truncate(path, certain)
            self._space.release(size - certain)
        return certain

    def _hasher(self, upload_id: str, path: Path, offset: int) -> Hasher:
        known, hasher = self._hashers.pop(upload_id, (0, Hasher()))
        if known == offset:
            return hasher
        hasher = Hasher()
        with path.open("rb") as file:
            while data := file.read(CHUNK_BYTES):
                hasher.update(data)
        return hasher

    def _close(self, part: Part, failure: BaseException | None) -> None:
        part.close()
        wrong = isinstance(failure, InvalidRequestError | DigestMismatch) and not isinstance(failure, InputIncomplete)
        if part.asset is not None:
            return
        if wrong or not part.offset:
            self.drop(part.plan.upload_id)
            return
        self._hashers[part.plan.upload_id] = (part.offset, part.hasher)
        if len(self._hashers) > _REMEMBERED:
            self._hashers.popitem(last=False)

    def drop(self, upload_id: str) -> None:
        """Forget an upload and delete its bytes. Blocks."""
        path = self.path_of(upload_id)
        if path.exists():
            self._space.release(path.stat().st_size)
            path.unlink()
        self._log.forget(upload_id)
        self._hashers.pop(upload_id, None)

    def progress(self, upload_id: str) -> tuple[int, StoredAsset | None]:
        """Make an upload's bytes durable; give how many they are, and what it became. Blocks.

        Raises:
            UploadUnknown: nothing of it is here.
        """
        record = self._log.find(upload_id)
        if asset := self._result(record):
            return asset.size_bytes, asset
        path = self.path_of(upload_id)
        if record is None or not path.exists():
            raise UploadUnknown(f"nothing of upload {upload_id} is here", hint="begin at byte 0")
        if upload_id not in self._active:
            self._settle(path, record)
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            os.fdatasync(file.fileno())
        self._log.checkpoint(upload_id, size)
        return size, None

    async def give_up(self, upload_id: str) -> None:
        """Drop an upload.

        Raises:
            UploadBusy: a call writes it.
        """
        with self.held(upload_id):
            await uninterrupted(asyncio.to_thread(self.drop, upload_id))

    async def sweep(self, idle_seconds: float) -> int:
        """Drop uploads that have not gone on for so long, and bytes that belong to none; give how many."""
        dropped = 0
        for upload_id in await asyncio.to_thread(self._stale, idle_seconds):
            if upload_id not in self._active:
                await self.give_up(upload_id)
                dropped += 1
        return dropped

    def _stale(self, idle_seconds: float) -> set[str]:
        stray = {path.stem for path in self._folder.iterdir()} - self._log.ids()
        return stray | self._log.ids(idle_seconds=idle_seconds)
