"""HTTP/2 frames (RFC 9113): their numbers, and the bytes of those that the relay makes itself."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES: Final = 9
MAX_FRAME_BYTES: Final = 16384  # SETTINGS_MAX_FRAME_SIZE stays at its default, on both hops
MAX_STREAM_ID: Final = 2**31 - 1
MAX_WINDOW: Final = 2**31 - 1
DEFAULT_WINDOW: Final = 65535

DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

END_STREAM: Final = 1
ACK: Final = 1
END_HEADERS: Final = 4
PADDED: Final = 8
WITH_PRIORITY: Final = 32

HEADER_TABLE_SIZE: Final = 1
ENABLE_PUSH: Final = 2
MAX_CONCURRENT_STREAMS: Final = 3
INITIAL_WINDOW_SIZE: Final = 4
MAX_FRAME_SIZE: Final = 5
MAX_HEADER_LIST_SIZE: Final = 6

# Length and type, flags, stream: what every frame begins with.
HEAD: Final = struct.Struct("!IBI")
_SETTING: Final = struct.Struct("!HI")


class ErrorCode(IntEnum):
    """Why a stream or a connection ends (RFC 9113, section 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Give a frame."""
    return HEAD.pack((len(payload) << 8) | kind, flags, stream_id) + payload


def settings(values: dict[int, int]) -> bytes:
    """Give a SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(key, value) for key, value in values.items()))


def parse_settings(payload: bytes) -> list[tuple[int, int]]:
    """Give the settings of a frame, in order."""
    return list(_SETTING.iter_unpack(payload))


def window_update(stream_id: int, increment: int) -> bytes:
    """Give a WINDOW_UPDATE frame."""
    return HEAD.pack(0x408, 0, stream_id) + increment.to_bytes(4, "big")


def reset(stream_id: int, code: int) -> bytes:
    """Give a RST_STREAM frame."""
    return HEAD.pack(0x403, 0, stream_id) + code.to_bytes(4, "big")


def goaway(last_id: int, code: int, text: str = "") -> bytes:
    """Give a GOAWAY frame; the text helps whoever reads the peer's log."""
    return frame(GOAWAY, 0, 0, last_id.to_bytes(4, "big") + int(code).to_bytes(4, "big") + text.encode())


def headers(stream_id: int, block: bytes, *, end_stream: bool) -> bytes:
    """Give a header block as one HEADERS frame, with CONTINUATION frames where it is too long for one."""
    flags = END_STREAM if end_stream else 0
    if len(block) <= MAX_FRAME_BYTES:
        return frame(HEADERS, flags | END_HEADERS, stream_id, block)
    pieces = [block[at : at + MAX_FRAME_BYTES] for at in range(0, len(block), MAX_FRAME_BYTES)]
    made = [frame(HEADERS, flags, stream_id, pieces[0])]
    made += [frame(CONTINUATION, 0, stream_id, piece) for piece in pieces[1:-1]]
    made.append(frame(CONTINUATION, END_HEADERS, stream_id, pieces[-1]))
    return b"".join(made)


def data(stream_id: int, payload: bytes, *, end_stream: bool) -> bytes:
    """Give bytes as DATA frames, each of them small enough for any peer; their flow control is the caller's."""
    pieces = [payload[at : at + MAX_FRAME_BYTES] for at in range(0, len(payload), MAX_FRAME_BYTES)] or [b""]
    made = [frame(DATA, 0, stream_id, piece) for piece in pieces[:-1]]
    made.append(frame(DATA, END_STREAM if end_stream else 0, stream_id, pieces[-1]))
    return b"".join(made)
