"""The samples of a WAV stream, without its header."""

from __future__ import annotations

import struct
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

from automarket.errors import MediaInvalid

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

MAX_HEADER_BYTES = 64 * 1024
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # what is written where the length is not known yet


async def samples(chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Give the bytes of the data chunk; where its size is not known, all that follows.

    Raises:
        MediaInvalid: it is no WAV stream.
    """
    head: bytes = b""
    left: int | None = None
    async with aclosing(chunks):
        async for chunk in chunks:
            piece = chunk
            if left is None:
                head += chunk
                if (found := _data(head)) is None:
                    if len(head) > MAX_HEADER_BYTES:
                        break
                    continue
                begin, left = found
                piece = head[begin:]
            piece = piece[:left]
            left -= len(piece)
            if piece:
                yield piece
    if left is None:
        raise MediaInvalid("the sound is no whole WAV stream", hint="send it again")


def _data(head: bytes) -> tuple[int, int] | None:
    """Find where the samples begin and how many bytes they have at most; None when more of the head is needed."""
    place = 12
    while len(head) >= place + 8:
        name, size = struct.unpack_from("<4sI", head, place)
        place += 8
        if name == b"data":
            return place, sys.maxsize if size in _UNKNOWN_SIZES else size
        place += size + (size & 1)
    return None
