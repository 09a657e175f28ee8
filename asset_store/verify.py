"""Finding damage: bytes are digested before they are first given out, and again only when their file has changed."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, BinaryIO
from weakref import WeakValueDictionary

from asset_store.files import signature
from automarket.digests import Hasher
from automarket.errors import AssetCorrupt, AssetUnknown

if TYPE_CHECKING:
    from asset_store.files import Files
    from asset_store.index import Index

log = logging.getLogger("asset_store")

_STEP_BYTES = 1024 * 1024
_REMEMBERED = 100_000


class Verifier:
    """Opens content that is whole. What it has checked it remembers until the process ends."""

    def __init__(self, files: Files, index: Index) -> None:
        self._files = files
        self._index = index
        self._whole: dict[str, tuple[int, ...]] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def open(self, digest: str) -> BinaryIO:
        """Open the bytes of a digest, unbuffered, after checking them.

        Raises:
            AssetUnknown: there are none.
            AssetCorrupt: they are damaged; they are set aside then, and the asset is missing until it is sent again.
        """
        turn = self._turns.setdefault(digest, asyncio.Lock())
        async with turn:
            return await asyncio.to_thread(self._open, digest)

    def _open(self, digest: str) -> BinaryIO:
        entry = self._index.find(digest)
        if entry is not None and entry.corrupt:
            raise _corrupt(digest)
        if entry is None:
            raise unknown(digest)
        try:
            file = self._files.path_of(digest).open("rb", buffering=0)
        except FileNotFoundError:
            raise unknown(digest) from None
        try:
            self._check(digest, file)
        except BaseException:
            file.close()
            raise
        return file

    def _check(self, digest: str, file: BinaryIO) -> None:
        found = signature(file.fileno())
        if self._whole.get(digest) == found:
            return
        hasher = Hasher()
        while data := file.read(_STEP_BYTES):
            hasher.update(data)
        if hasher.digest == digest:
            self._remember(digest, found)
            return
        log.error("asset is damaged", extra={"digest": digest, "bytes": found[1]})
        self._files.set_aside(digest)
        self._index.mark_corrupt(digest)
        raise _corrupt(digest)

    def trust(self, digest: str, modified_ns: int | None = None) -> None:
        """Remember that bytes were digested as they were written. Blocks for a moment.

        Args:
            digest: which.
            modified_ns: when they were written, as the file said before they were digested; bytes that were written
                later are not trusted. None where nobody else could have.
        """
        with self._files.path_of(digest).open("rb") as file:
            found = signature(file.fileno())
            if modified_ns in (None, os.fstat(file.fileno()).st_mtime_ns):
                self._remember(digest, found)

    def _remember(self, digest: str, found: tuple[int, ...]) -> None:
        if len(self._whole) >= _REMEMBERED:
            self._whole.pop(next(iter(self._whole)))
        self._whole[digest] = found


def unknown(digest: str) -> AssetUnknown:
    """Give the error that says that the store lacks an asset."""
    return AssetUnknown(f"the asset store has no {digest}", hint="upload it: automarket assets put FILE")


def _corrupt(digest: str) -> AssetCorrupt:
    return AssetCorrupt(f"the bytes of {digest} on disk are damaged", hint="upload it again, or delete it")
