"""Room for bytes: the quota, the disk, and eviction of what can be made again."""

from __future__ import annotations

import errno
import logging
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from automarket.errors import DiskFull, QuotaExceeded

if TYPE_CHECKING:
    from collections.abc import Generator

    from asset_store.files import Files
    from asset_store.index import Index

log = logging.getLogger("asset_store")

RESERVE_BYTES = 4 * 1024 * 1024
"""What is left free on the disk, so that the index can still be written."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Space:
    """Says whether there is room, and makes some. Every call blocks; threads may share it.

    Args:
        quota: most bytes that assets and uploads may have together; None is no bound but the disk.
    """

    def __init__(self, files: Files, index: Index, quota: int | None) -> None:
        self._files = files
        self._index = index
        self._quota = quota
        self._pending = 0
        self._turn = threading.Lock()

    def hold(self, count: int) -> None:
        """Count bytes that are there, whether or not there is room for them."""
        with self._turn:
            self._pending += count

    def foresee(self, more: int) -> None:
        """Check that so many bytes could be had, without evicting anything for them.

        Raises:
            QuotaExceeded: the quota is used up by what must not be evicted.
            DiskFull: the disk has no room.
        """
        if max(self._over_quota(more), self._over_disk(more)) > 0:
            self._refuse(more, sum(size for _, size in self._index.evictable()))

    def reserve(self, more: int, *, on_disk: int = 0) -> None:
        """Count so many bytes as used, after making room for them by evicting what was not used longest.

        Args:
            more: how many; give them back by `release` when they are kept, or are gone.
            on_disk: how many of them are written already.

        Raises:
            QuotaExceeded: the quota is used up by what must not be evicted.
            DiskFull: the disk has no room.
        """
        with self._turn:
            if not self._fits(more, on_disk):
                self._make_room(more, on_disk)
            self._pending += more

    def release(self, count: int) -> None:
        """Give back bytes that were reserved."""
        with self._turn:
            self._pending -= count

    def _fits(self, more: int, on_disk: int) -> bool:
        return max(self._over_quota(more), self._over_disk(more - on_disk)) <= 0

    def _make_room(self, more: int, on_disk: int) -> None:
        for digest, size in self._index.evictable():
            log.info("evicted", extra={"digest": digest, "bytes": size})
            self.discard(digest)
            if self._fits(more, on_disk):
                return
        self._refuse(more, 0, on_disk)

    def discard(self, digest: str) -> None:
        """Delete an asset: first the bytes, which also makes room to write the index."""
        self._files.remove(digest)
        self._index.remove(digest)

    def _over_quota(self, more: int) -> int:
        return 0 if self._quota is None else self._index.kept_bytes + self._pending + more - self._quota

    def _over_disk(self, more: int) -> int:
        facts = os.statvfs(self._files.root)
        return more + RESERVE_BYTES - facts.f_bavail * facts.f_frsize

    def _refuse(self, more: int, evictable: int, on_disk: int = 0) -> None:
        if self._over_quota(more) > evictable:
            raise QuotaExceeded(
                f"the asset store's quota of {self._quota} bytes has no room for {more} more",
                hint="delete assets that are not needed (automarket assets rm), or raise the quota",
            )
        if self._over_disk(more - on_disk) > evictable:
            raise DiskFull(
                f"the asset store's disk has no room for {more} bytes more", hint=f"free room under {self._files.root}"
            )


@contextmanager
def disk_errors() -> Generator[None]:
    """Raise what the operating system says about a full disk as DiskFull."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise DiskFull(f"the asset store cannot write: {error.strerror}", hint="free room on its disk") from error
