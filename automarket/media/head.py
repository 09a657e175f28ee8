"""The first bytes of media that arrives piece by piece: what it is, and whether it can be read without seeking."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from automarket.assets.formats import HEAD_BYTES, Format, detect, recognise
from automarket.assets.roles import Role

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

_ENOUGH_BYTES = 4096
_NEEDS_SEEKING = ("avi",)


async def take_head(chunks: AsyncIterator[bytes], *, what: str = "the input") -> tuple[bytes, Format]:
    """Take as many chunks as it needs to tell what they are; a live source is not waited for longer than that.

    Gives what was taken, and the format. Raises as `automarket.assets.formats.recognise` does.
    """
    head = bytearray()
    async for chunk in chunks:
        head += chunk
        if len(head) >= HEAD_BYTES or (len(head) >= _ENOUGH_BYTES and _is_certain(bytes(head))):
            break
    return bytes(head), recognise(bytes(head[:HEAD_BYTES]), what=what)


def _is_certain(head: bytes) -> bool:
    """Tell whether more bytes would not change what it looks like: text may turn out to be something else."""
    found = detect(head)
    if found is None or not found.demuxer:
        return False
    return found.demuxer != "mov" or _first_of(head) is not None


async def with_head(head: bytes, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Give what was taken, then the rest."""
    yield head
    async for chunk in chunks:
        yield chunk


def can_be_piped(head: bytes, found: Format) -> bool:
    """Tell whether FFmpeg can read the media from a pipe: an MP4 whose index comes after its media cannot be."""
    if found.demuxer in _NEEDS_SEEKING or Role.IMAGE in found.roles:
        return False
    return found.demuxer != "mov" or _first_of(head) == b"moov"


def _first_of(head: bytes) -> bytes | None:
    """Give the box that comes first in an MP4: the index ("moov") or the media ("mdat"); None if neither is near."""
    place = 0
    while place + 8 <= len(head):
        size, kind = struct.unpack_from(">I4s", head, place)
        if kind in (b"moov", b"mdat"):
            return kind
        if size == 1 and place + 16 <= len(head):
            (size,) = struct.unpack_from(">Q", head, place + 8)
        if size < 8:
            return None
        place += size
    return None
