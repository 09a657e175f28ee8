"""Where the bytes of an asset are: in memory or in a file. Both are read, never written."""

from __future__ import annotations

import io
import tempfile
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from automarket.digests import digest_bytes, digest_file

if TYPE_CHECKING:
    from automarket.assets.formats import Format
    from automarket.media.info import MediaInfo


class Body:
    """Bytes, and what has been found out about them.

    Attributes:
        format: what they are.
        data: the bytes, when they are in memory.
        path: the file, when they are in one.
        info: their technical facts, once they have been read.
    """

    __slots__ = ("__weakref__", "_digest", "_lock", "data", "format", "info", "path")

    def __init__(self, content: bytes | Path, found: Format) -> None:
        self.format = found
        self.data: bytes | None = None if isinstance(content, Path) else content
        self.path: Path | None = content.absolute() if isinstance(content, Path) else None
        self.info: MediaInfo | None = None
        self._digest: str | None = None
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """How many bytes there are."""
        return len(self.data) if self.data is not None else self._file.stat().st_size

    @property
    def digest(self) -> str:
        """The digest of the bytes; a file is read for it, once."""
        if self._digest is None:
            self._digest = digest_bytes(self.data) if self.data is not None else digest_file(self._file)
        return self._digest

    def open(self) -> BinaryIO:
        """Open the bytes for reading."""
        return io.BytesIO(self.data) if self.data is not None else self._file.open("rb")

    def as_file(self) -> Path:
        """Give a file with the bytes; those in memory are written to one that lives as long as this body."""
        with self._lock:
            if self.path is None:
                self.path = temporary_file(self, self.data or b"")
            return self.path

    @property
    def _file(self) -> Path:
        assert self.path is not None  # noqa: S101 - a body has bytes or a file
        return self.path


def temporary_file(owner: object, data: bytes = b"") -> Path:
    """Make a temporary file that lives as long as `owner`."""
    with tempfile.NamedTemporaryFile(prefix="automarket-", delete=False) as file:
        path = Path(file.name)
        weakref.finalize(owner, path.unlink, missing_ok=True)
        file.write(data)
    return path
