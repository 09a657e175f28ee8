"""Bytes of one output as they arrive: in memory while they are few, then in a temporary file."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import weakref
from pathlib import Path
from typing import IO

from automarket.digests import Hasher
from automarket.errors import DigestMismatch

MEMORY_BYTES = 8 * 1024 * 1024


class Spool:
    """Collects bytes in order. `size_bytes` counts them."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._hasher = Hasher()
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._path: Path | None = None
        self._remove: weakref.finalize[..., Spool] | None = None

    async def write(self, offset: int, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            DigestMismatch: they do not begin where the bytes before ended.
        """
        if offset != self.size_bytes:
            raise DigestMismatch(f"an output went on at byte {offset} where byte {self.size_bytes} was due")
        self._hasher.update(data)
        self.size_bytes += len(data)
        if self._file is None and self.size_bytes <= MEMORY_BYTES:
            self._memory += data
        else:
            await asyncio.to_thread(self._to_file, data)

    def _to_file(self, data: bytes) -> None:
        if self._file is None:
            file = tempfile.NamedTemporaryFile(prefix="automarket-", delete=False)  # noqa: SIM115 - closed by `finish`
            self._file, self._path = file, Path(file.name)
            self._remove = weakref.finalize(self, _unlink, self._path)
            file.write(self._memory)
            self._memory.clear()
        self._file.write(data)

    def finish(self, digest: str) -> bytes | Path:
        """Give all bytes, or the file that holds them, when they are those of `digest` (empty when it is not known).

        The file lives as long as what `keep_file_for` names, or else as this spool.

        Raises:
            DigestMismatch: they are others.
        """
        if self._file is not None:
            self._file.close()
        if digest and digest != self._hasher.digest:
            raise DigestMismatch(
                f"an output arrived broken: {self._hasher.digest} where {digest} was sent", hint="run it again"
            )
        return bytes(self._memory) if self._path is None else self._path

    def keep_file_for(self, owner: object) -> None:
        """Keep the file, if there is one, until `owner` is gone."""
        if self._remove is not None and self._path is not None:
            self._remove.detach()
            weakref.finalize(owner, _unlink, self._path)


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
