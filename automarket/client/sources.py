"""Where the bytes of an upload come from. Each source can be read again from any offset, for uploads that are cut."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from automarket.digests import Hasher, digest_bytes, digest_file

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable

    from automarket.assets import Asset

PIECE_BYTES = 1024 * 1024
MEMORY_BYTES = 8 * 1024 * 1024
MAX_NAME_BYTES = 255
_TEMPORARY = "automarket-"  # such a file's name says nothing to people


class Source(Protocol):
    """Bytes to upload; `size` is None where it is not known before the end, `file` where they are in none."""

    name: str
    size: int | None
    file: Path | None

    async def digest(self) -> str:
        """Give the digest of all bytes."""
        ...

    def pieces(self, offset: int) -> AsyncGenerator[bytes]:
        """Give the bytes from an offset on, at most 1 MiB at a time."""
        ...


def source_of(value: Path | bytes | Asset) -> Source:
    """Give the source of a file, of bytes or of an asset."""
    if isinstance(value, Path):
        return FileSource(value)
    return BytesSource(value) if isinstance(value, bytes) else AssetSource(value)


def plain_name(name: str) -> str:
    """Give a file name without folders, cut to what the store takes."""
    return Path(name).name.encode()[:MAX_NAME_BYTES].decode(errors="ignore")


class FileSource:
    """A file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.file: Path | None = path
        self.name = path.name
        self.size: int | None = path.stat().st_size

    async def digest(self) -> str:
        """Give the file's digest."""
        return await asyncio.to_thread(digest_file, self._path)

    async def pieces(self, offset: int) -> AsyncGenerator[bytes]:
        """Give the file's bytes."""
        # Not in a thread: it is quick, and a cancel would lose the open file.
        with self._path.open("rb", 0) as file:
            while data := await asyncio.to_thread(os.pread, file.fileno(), PIECE_BYTES, offset):
                yield data
                offset += len(data)


class BytesSource:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.file: Path | None = None
        self.name = ""
        self.size: int | None = len(data)

    async def digest(self) -> str:
        """Give their digest."""
        return await asyncio.to_thread(digest_bytes, self._data)

    async def pieces(self, offset: int) -> AsyncGenerator[bytes]:
        """Give the bytes."""
        for start in range(offset, len(self._data), PIECE_BYTES):
            yield self._data[start : start + PIECE_BYTES]


class AssetSource:
    """An asset of the user's own program."""

    def __init__(self, asset: Asset) -> None:
        self._asset = asset
        self.file: Path | None = asset.path
        named = asset.path is not None and asset.source_asset is None and not asset.path.name.startswith(_TEMPORARY)
        self.name = asset.path.name if asset.path is not None and named else ""
        self.size: int | None = asset.size_bytes

    async def digest(self) -> str:
        """Give the asset's digest."""
        return await asyncio.to_thread(lambda: self._asset.digest)

    async def pieces(self, offset: int) -> AsyncGenerator[bytes]:
        """Give the asset's bytes."""
        with closing(self._asset.open()) as file:
            file.seek(offset)
            while data := await asyncio.to_thread(file.read, PIECE_BYTES):
                yield data


class StreamSource:
    """Bytes that come once, kept until the upload is complete: in memory while they are few, else in a file.

    Use it as `async with`; leaving closes the stream.
    """

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._chunks = aiter(chunks)
        self._spool = tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115 - closed in __aexit__
        self._turn = threading.Lock()
        self._hasher = Hasher()
        self._pulling: asyncio.Task[tuple[int, bytes] | None] | None = None
        self._have = 0
        self.file: Path | None = None
        self.name = ""
        self.size: int | None = None

    async def __aenter__(self) -> StreamSource:
        """Give itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the stream."""
        if self._pulling is not None:
            self._pulling.cancel()
            await asyncio.wait([self._pulling])
        if close := getattr(self._chunks, "aclose", None):
            await close()
        with self._turn:
            self._spool.close()

    async def digest(self) -> str:
        """Give the digest of what has come so far."""
        return self._hasher.digest

    async def pieces(self, offset: int) -> AsyncGenerator[bytes]:
        """Give what came before from the offset on, then what comes."""
        while True:
            while offset < self._have:
                data = await asyncio.to_thread(self._read, offset)
                yield data
                offset += len(data)
            # An attempt to send that is cancelled must not cancel the stream: the next attempt goes on with it.
            self._pulling = self._pulling or asyncio.ensure_future(self._pull())
            pulled = await asyncio.shield(self._pulling)
            if pulled is None:
                return
            self._pulling = None
            begin, more = pulled
            if begin != offset:  # it came while what was before it was read
                continue
            for start in range(0, len(more), PIECE_BYTES):
                data = more[start : start + PIECE_BYTES]
                yield data
                offset += len(data)

    async def _pull(self) -> tuple[int, bytes] | None:
        data = await anext(self._chunks, None)
        if data is None:
            return None
        begin = self._have
        if begin + len(data) > MEMORY_BYTES:
            await asyncio.to_thread(self._write, data)
        else:
            self._write(data)
        return begin, data

    def _write(self, data: bytes) -> None:
        with self._turn:
            self._spool.seek(self._have)
            self._spool.write(data)
            self._hasher.update(data)
            self._have += len(data)

    def _read(self, offset: int) -> bytes:
        with self._turn:
            self._spool.seek(offset)
            return self._spool.read(PIECE_BYTES)
