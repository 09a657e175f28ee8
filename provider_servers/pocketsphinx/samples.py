"""The samples of a WAV stream, without its header."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from automarket.errors import MediaInvalid

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

MAX_HEADER_BYTES = 64 * 1024


async def samples(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Give the bytes of the data chunk; what follows it, if anything, is taken for samples too.

    Raises:
        MediaInvalid: it is no WAV stream.
    """
    head: bytes | None = b""
    async for chunk in chunks:
        if head is None:
            yield chunk
            continue
        head += chunk
        begin = _data_begin(head)
        if begin is not None:
            if head[begin:]:
                yield head[begin:]
            head = None
        elif len(head) > MAX_HEADER_BYTES:
            break
    if head is not None:
        raise MediaInvalid("the sound is no whole WAV stream", hint="send it again")


def _data_begin(head: bytes) -> int | None:
    """Find where the samples begin, or None when more of the head is needed."""
    place = 12
    while len(head) >= place + 8:
        name, size = struct.unpack_from("<4sI", head, place)
        place += 8
        if name == b"data":
            return place
        place += size + (size & 1)
    return None
