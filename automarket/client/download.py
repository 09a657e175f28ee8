"""A download on its way to being a file: kept beside it until it is whole, so that a later attempt goes on with it."""

from __future__ import annotations

import fcntl
import os
import threading
import uuid
from typing import TYPE_CHECKING

from automarket.digests import Hasher, check_digest
from automarket.errors import DigestMismatch

if TYPE_CHECKING:
    from pathlib import Path

_STEP_BYTES = 1024 * 1024


class Download:
    """The bytes of `digest` that are here so far. Calls block, and take turns; after `close` they do nothing.

    Attributes:
        offset: how many bytes are here.
    """

    def __init__(self, out: Path, digest: str) -> None:
        self._out = out
        self._digest = digest
        self._hasher = Hasher()
        self._turn = threading.Lock()
        self._closed = False
        self._path = out
        self._file: int | None = None
        self.offset = 0

    def open(self) -> None:
        """Open the file, and digest what is in it."""
        with self._turn:
            if self._closed:
                return
            self._path, self._file = _open(self._out, check_digest(self._digest)[:16])
            while data := os.read(self._file, _STEP_BYTES):
                self._count(data)

    def _count(self, data: bytes) -> None:
        self._hasher.update(data)
        self.offset += len(data)

    def append(self, data: bytes) -> None:
        """Write the next bytes."""
        with self._turn:
            left = memoryview(data)
            while left and self._file is not None:
                left = left[os.write(self._file, left) :]
            if not left:
                self._count(data)

    def finish(self) -> None:
        """Put the file in its place.

        Raises:
            DigestMismatch: the bytes are not those of the digest; they are deleted.
        """
        if self._hasher.digest != self._digest:
            self._path.unlink()
            raise DigestMismatch(
                f"the bytes that came are {self._hasher.digest} and not {self._digest}", hint="try again"
            )
        self._path.replace(self._out)

    def close(self) -> None:
        """Close the file. What is here stays, unless it is nothing."""
        with self._turn:
            self._closed = True
            if self._file is not None:
                if not self.offset:
                    self._path.unlink(missing_ok=True)
                os.close(self._file)
                self._file = None


def _open(out: Path, tag: str) -> tuple[Path, int]:
    """Open the file for the bytes; one of its own where another program downloads the same to the same place."""
    path = out.with_name(f".{out.name[:100]}.{tag}.part")
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return _open(out, uuid.uuid4().hex)
    return path, file
