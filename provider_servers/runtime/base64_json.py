"""Files that come as base64 inside JSON: written to disk as they arrive, so that no answer is ever whole in memory."""

from __future__ import annotations

import binascii
import re
import threading
from typing import TYPE_CHECKING, BinaryIO

from automarket.errors import BackendFailed, MediaLimit

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_FILES = 32
MAX_REST_BYTES = 1024 * 1024
_LONGEST_KEY = 256
_NOT_BASE64 = b"\\\r\n\t "  # "/" may be written "\/"


class Base64Files:
    """Takes JSON as it comes; the text of every member of one name becomes a file, and is empty in what is left.

    Args:
        key: the member's name.
        folder: where the files go: "made-0", "made-1" and so on.
        max_bytes: of one file.
    """

    def __init__(self, key: str, folder: Path, max_bytes: int = MAX_FILE_BYTES) -> None:
        self._pattern = re.compile(rb'"' + re.escape(key.encode()) + rb'"\s*:\s*"')
        self._folder = folder
        self._max_bytes = max_bytes
        self._rest = bytearray()
        self._searched = 0
        self._found = 0  # where the text of the last file begins: its key is not to be found again
        self._file: BinaryIO | None = None
        self._left = 0
        self._carry = b""
        self._padded = False
        self._lock = threading.Lock()
        self._is_closed = False
        self.files: list[Path] = []

    def feed(self, data: bytes) -> None:
        """Take bytes; writes to disk. What comes after the close is left out.

        Raises:
            MediaLimit: a file is too large, or there are too many.
            BackendFailed: it is no base64, or the JSON around it is too long.
        """
        with self._lock:
            while data and not self._is_closed:
                data = self._look(data) if self._file is None else self._decode(data)

    def finish(self) -> bytes:
        """Say that there is no more; give the JSON without the files.

        Raises:
            BackendFailed: it ends within a file.
        """
        if self._file is not None:
            self.close()
            raise BackendFailed("the answer ends within a picture")
        return bytes(self._rest)

    def close(self) -> None:
        """Close what is open; a thread that is still fed is waited for."""
        with self._lock:
            self._is_closed = True
            self._end_file()

    def _end_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _look(self, data: bytes) -> bytes:
        """Look for the next file; give what comes after its beginning."""
        self._rest += data
        found = self._pattern.search(self._rest, max(self._found, self._searched - _LONGEST_KEY))
        if found is None:
            self._searched = len(self._rest)
            if len(self._rest) > MAX_REST_BYTES:
                raise BackendFailed(f"the answer has over {MAX_REST_BYTES:,} bytes beside its pictures")
            return b""
        after = bytes(self._rest[found.end() :])
        del self._rest[found.end() :]
        self._searched = self._found = len(self._rest)
        if len(self.files) >= MAX_FILES:
            raise MediaLimit(f"the answer has over {MAX_FILES} pictures")
        path = self._folder / f"made-{len(self.files)}"
        self.files.append(path)
        self._file, self._left, self._carry, self._padded = path.open("wb"), self._max_bytes, b"", False
        return after

    def _decode(self, data: bytes) -> bytes:
        """Write more of the open file; give what comes after its end."""
        end = data.find(b'"')
        text = self._carry + (data if end < 0 else data[:end]).translate(None, _NOT_BASE64)
        whole = len(text) if end >= 0 else len(text) // 4 * 4
        self._write(text[:whole])
        self._carry = text[whole:]
        if end < 0:
            return b""
        self._end_file()
        return data[end:]  # the quotation mark ends the text in what is left, too

    def _write(self, text: bytes) -> None:
        assert self._file is not None  # noqa: S101 - called between the marks
        try:
            if text and self._padded:
                raise binascii.Error  # noqa: TRY301 - what ends has no more
            made = binascii.a2b_base64(text, strict_mode=True)
            self._padded = text.endswith(b"=")
        except binascii.Error:
            self._end_file()
            raise BackendFailed("the answer holds a picture that is no base64") from None
        self._left -= len(made)
        if self._left < 0:
            self._end_file()
            raise MediaLimit(f"a picture has over {self._max_bytes:,} bytes", hint="ask for a smaller one, or as jpeg")
        self._file.write(made)
