"""HTTP/1.1 answers whose chunks are put together: what came in one read leaves as one chunk.

A server that streams tokens writes each as a chunk of its own. A client library looks at every chunk by itself, which
takes longer than the token is worth, and nobody can tell any more what arrived together.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_HEAD_BYTES = 64 * 1024
_MAX_SIZE_LINE = 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked[ \t]*\r\n", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;.*)?")
_BODILESS = (204, 304)


class ChunkMerger:
    """Takes the bytes of one connection as they come, and gives them on with fewer chunks.

    What it does not understand goes on as it is, for the client library to judge. Trailers are left out.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._left = 0  # bytes of the body, or of the chunk, that are still to come
        self._body: list[bytes] = []
        self._step: Callable[[bytes], tuple[bytes, bytes] | None] = self._head

    def feed(self, data: bytes) -> bytes:
        """Take what one read brought; give what the client library is to see of it, which may be nothing yet."""
        data = self._rest + data if self._rest else data
        self._rest = b""
        given: list[bytes] = []
        while data:
            step = self._step(data)
            if step is None:  # it takes more to go on
                self._rest = data
                break
            made, data = step
            if made:
                given += self._merged()
                given.append(made)
        given += self._merged()
        return b"".join(given)

    def _merged(self) -> list[bytes]:
        if not self._body:
            return []
        body = b"".join(self._body)
        self._body.clear()
        return [b"%x\r\n" % len(body), body, b"\r\n"]

    # Each step gives what goes on and what remains, or None when it needs more bytes than there are.

    def _head(self, data: bytes) -> tuple[bytes, bytes] | None:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return None if len(data) <= MAX_HEAD_BYTES else self._give_up(data)
        end += 4
        head = data[:end]
        found = _STATUS.match(head)
        if found is None:
            return self._give_up(data)
        status = int(found[1])
        if status >= 200 and status not in _BODILESS:
            self._begin_body(head)
        return head, data[end:]

    def _begin_body(self, head: bytes) -> None:
        length = _LENGTH.search(head)
        if _CHUNKED.search(head):
            self._step = self._size
        elif length is None:
            self._step = _as_it_is
        elif int(length[1]):
            self._left, self._step = int(length[1]), self._whole

    def _whole(self, data: bytes) -> tuple[bytes, bytes]:
        body = data[: self._left]
        self._left -= len(body)
        if not self._left:
            self._step = self._head
        return body, data[len(body) :]

    def _size(self, data: bytes) -> tuple[bytes, bytes] | None:
        end = data.find(b"\r\n")
        if end < 0:
            return None if len(data) <= _MAX_SIZE_LINE else self._give_up(data)
        found = _SIZE.fullmatch(data, 0, end)
        if found is None:
            return self._give_up(data)
        self._left = int(found[1], 16)
        self._step = self._chunk if self._left else self._trailer
        return b"", data[end + 2 :]

    def _chunk(self, data: bytes) -> tuple[bytes, bytes]:
        body = data[: self._left]
        self._body.append(body)
        self._left -= len(body)
        if not self._left:
            self._step = self._chunk_end
        return b"", data[len(body) :]

    def _chunk_end(self, data: bytes) -> tuple[bytes, bytes] | None:
        if not data.startswith(b"\r\n"):
            return None if data == b"\r" else self._give_up(data)
        self._step = self._size
        return b"", data[2:]

    def _trailer(self, data: bytes) -> tuple[bytes, bytes] | None:
        end = data.find(b"\r\n")
        if end < 0:
            return None if len(data) <= MAX_HEAD_BYTES else self._give_up(data)
        if end:
            return b"", data[end + 2 :]
        self._step = self._head
        return b"0\r\n\r\n", data[2:]

    def _give_up(self, data: bytes) -> tuple[bytes, bytes]:
        self._step = _as_it_is
        return data, b""


def _as_it_is(data: bytes) -> tuple[bytes, bytes]:
    return data, b""
