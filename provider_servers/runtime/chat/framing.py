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
_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
_BODILESS = (204, 304)


class ChunkMerger:
    """Takes the bytes of one connection as they come, and gives them on with fewer chunks.

    What it does not understand goes on as it is, for the client library to judge. Trailers are left out.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._left = 0  # bytes of the body, or of the chunk, that are still to come
        self._body: list[bytes] = []  # pieces of chunks that were not given on yet
        self._given: list[bytes] = []
        # Each step takes bytes from a place on, and gives the next place, or its complement when it needs more bytes.
        self._step: Callable[[bytes, int], int] = self._head

    def feed(self, data: bytes) -> bytes:
        """Take what one read brought; give what the client library is to see of it, which may be nothing yet."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        at = 0
        while at < len(data):
            place = self._step(data, at)
            if place < 0:
                self._rest = data[~place:]
                break
            at = place
        self._merge()
        given, self._given = self._given, []
        return given[0] if len(given) == 1 else b"".join(given)

    def _give(self, piece: bytes) -> None:
        self._merge()
        self._given.append(piece)

    def _merge(self) -> None:
        if self._body:
            body = b"".join(self._body)
            self._body.clear()
            self._given += [b"%x\r\n" % len(body), body, b"\r\n"]

    def _head(self, data: bytes, at: int) -> int:
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            return ~at if len(data) - at <= MAX_HEAD_BYTES else self._give_up(data, at)
        end += 4
        head = data[at:end]
        found = _STATUS.match(head)
        if found is None:
            return self._give_up(data, at)
        status = int(found[1])
        if status >= 200 and status not in _BODILESS:
            self._begin_body(head)
        self._give(head)
        return end

    def _begin_body(self, head: bytes) -> None:
        length = _LENGTH.search(head)
        if _CHUNKED.search(head):
            self._step = self._chunks
        elif length is None:
            self._step = self._give_up
        elif int(length[1]):
            self._left, self._step = int(length[1]), self._whole

    def _whole(self, data: bytes, at: int) -> int:
        body = data[at : at + self._left]
        self._left -= len(body)
        if not self._left:
            self._step = self._head
        self._give(body)
        return at + len(body)

    def _chunks(self, data: bytes, at: int) -> int:
        """Take all chunks that are whole, and the size of the first one that is not."""
        while found := _SIZE.match(data, at):
            size, begin = int(found[1], 16), found.end()
            end = begin + size
            if not size:
                self._step = self._trailer
                return begin
            if data[end : end + 2] != b"\r\n":
                self._left, self._step = size, self._chunk
                return begin
            self._body.append(data[begin:end])
            at = end + 2
        line = data.find(b"\r\n", at, at + _MAX_SIZE_LINE)
        return ~at if line < 0 and len(data) - at < _MAX_SIZE_LINE else self._give_up(data, at)

    def _chunk(self, data: bytes, at: int) -> int:
        body = data[at : at + self._left]
        self._left -= len(body)
        if body:
            self._body.append(body)
        if not self._left:
            self._step = self._chunk_end
        return at + len(body)

    def _chunk_end(self, data: bytes, at: int) -> int:
        if not data.startswith(b"\r\n", at):
            return ~at if data[at:] == b"\r" else self._give_up(data, at)
        self._step = self._chunks
        return at + 2

    def _trailer(self, data: bytes, at: int) -> int:
        end = data.find(b"\r\n", at)
        if end < 0:
            return ~at if len(data) - at <= MAX_HEAD_BYTES else self._give_up(data, at)
        if end == at:
            self._step = self._head
            self._give(b"0\r\n\r\n")
        return end + 2

    def _give_up(self, data: bytes, at: int) -> int:
        self._step = self._give_up
        self._give(data[at:])
        return len(data)
