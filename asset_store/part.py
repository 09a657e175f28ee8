"""The bytes of one upload on their way to being an asset. Every call blocks; calls take turns."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asset_store.space import disk_errors
from automarket.errors import ChunkTooLarge, InputTooLarge, OffsetMismatch, UploadBusy

if TYPE_CHECKING:
    from pathlib import Path

    from asset_store.describe import Facts
    from asset_store.space import Space
    from asset_store.upload_log import UploadLog
    from automarket.digests import Hasher
    from automarket.stored import Lineage, StoredAsset

CHUNK_BYTES = 1024 * 1024
CHECKPOINT_BYTES = 32 * 1024 * 1024
"""So often written bytes are forced to the disk: what a power cut may cost, and what waits at the end."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an upload's header says; `header` is its bytes. Digest and size are None when they are not known."""

    upload_id: str
    header: bytes
    digest: str | None = None
    size: int | None = None
    file_name: str = ""
    lineage: Lineage | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """A file that is all there, before it becomes an asset.

    Attributes:
        modified_ns: when it was last written, for one that others could still write; else None.
    """

    path: Path
    digest: str
    size: int
    facts: Facts
    modified_ns: int | None = None


class Part:
    """An upload that one call writes.

    Args:
        path: the file; it has `offset` bytes, which `hasher` has seen.

    Attributes:
        asset: what it became; None while it is not complete.
        most: how many bytes the store takes at most.
    """

    def __init__(self, plan: Plan, path: Path, offset: int, hasher: Hasher, *, log: UploadLog, space: Space) -> None:
        self.plan = plan
        self.path = path
        self.offset = offset
        self.hasher = hasher
        self.asset: StoredAsset | None = None
        self.most: int | None = None
        self._checkpoint = offset
        self._log = log
        self._space = space
        self._turn = threading.Lock()
        self._file: int | None = None
        self._closed = False

    def append(self, offset: int, data: bytes) -> None:
        """Write the next bytes.

        Raises:
            ChunkTooLarge: they are too many for one message.
            OffsetMismatch: they do not begin where the bytes before ended.
            InputTooLarge: the upload would be larger than declared.
            QuotaExceeded: the quota has no room.
            DiskFull: the disk has none. What was there before is still there.
        """
        with self._turn:
            self._check(offset, data)
            self._space.reserve(len(data))
            try:
                self._write(data)
            except BaseException:
                self._space.release(len(data))
                raise
            self.hasher.update(data)
            self.offset += len(data)
            if self.offset - self._checkpoint >= CHECKPOINT_BYTES:
                self._sync()

    def _check(self, offset: int, data: bytes) -> None:
        if len(data) > CHUNK_BYTES:
            raise ChunkTooLarge(
                f"a chunk has {len(data)} bytes, and {CHUNK_BYTES} are the most", fields={"chunk.data": "at most 1 MiB"}
            )
        if offset != self.offset:
            raise OffsetMismatch(
                f"the chunk begins at byte {offset}, and the upload has {self.offset}",
                hint=f"send from byte {self.offset}",
                metadata={"committed_offset": str(self.offset)},
            )
        size = self.offset if self.asset else self.plan.size
        if size is not None and offset + len(data) > size:
            raise InputTooLarge(
                f"the upload goes past the {size} bytes that it has",
                fields={"header.size_bytes": "smaller than what was sent"},
            )
        if self.most is not None and offset + len(data) > self.most:
            raise InputTooLarge(f"the store takes at most {self.most} bytes", fields={"chunk": "too many bytes in all"})

    def _write(self, data: bytes) -> None:
        if self._closed:
            raise UploadBusy(f"upload {self.plan.upload_id} was taken from this call", hint="ask GetUpload")
        if self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            with disk_errors():
                self._file = os.open(self.path, flags, 0o600)
        left = memoryview(data)
        try:
            with disk_errors():
                while left:
                    left = left[os.write(self._file, left) :]
        except BaseException:
            os.ftruncate(self._file, self.offset)
            raise

    def _sync(self) -> None:
        if self._file is not None:
            with disk_errors():
                os.fdatasync(self._file)
            self._log.checkpoint(self.plan.upload_id, self.offset)
            self._checkpoint = self.offset

    def close(self) -> None:
        """Close the file; what was written can go on later."""
        with self._turn:
            self._closed = True
            if self._file is not None:
                os.close(self._file)
                self._file = None
