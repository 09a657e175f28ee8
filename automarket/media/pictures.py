"""The size that a picture claims, read from its first bytes before any decoder sees it."""

from __future__ import annotations

import struct

_FRAME_MARKS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_BARE_MARKS = {0x01, *range(0xD0, 0xDA)}


def claimed_size(head: bytes, name: str) -> tuple[int, int] | None:
    """Give width and height in pixels, as the head of a picture in format `name` claims; None when it does not say."""
    reader = {"png": _png, "gif": _gif, "webp": _webp, "jpeg": _jpeg}.get(name)
    try:
        return reader(head) if reader else None
    except struct.error:  # the head ends too early
        return None


def _png(head: bytes) -> tuple[int, int]:
    return struct.unpack_from(">II", head, 16)


def _gif(head: bytes) -> tuple[int, int]:
    return struct.unpack_from("<HH", head, 6)


def _webp(head: bytes) -> tuple[int, int] | None:
    kind = head[12:16]
    if kind == b"VP8X":
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", head, 24)
        return (high_width << 16 | low_width) + 1, (high_height << 16 | low_height) + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg(head: bytes) -> tuple[int, int] | None:
    place = 2
    while place + 4 <= len(head):
        mark = head[place + 1]
        if head[place] != 0xFF or mark in (0xFF, *_BARE_MARKS):
            place += 1 if head[place] != 0xFF or mark == 0xFF else 2
            continue
        if mark in _FRAME_MARKS:
            height, width = struct.unpack_from(">HH", head, place + 5)
            return width, height
        place += 2 + struct.unpack_from(">H", head, place + 2)[0]
    return None
