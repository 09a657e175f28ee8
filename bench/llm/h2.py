"""gRPC calls as cheaply as Python can read them: HTTP/2 frames, whose messages are looked at when all have come.

It takes whatever is sent: windows are as large as they can be. Flow control is measured elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

import hpack

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
MOST = 2**31 - 1
GIVE_BACK_BYTES = 2**28
_SETTINGS = {4: MOST, 5: 2**20}  # window of a stream, size of a frame

Pieces = list[tuple[int, bytes]]


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


class Calls(asyncio.Protocol):
    """One connection, with any number of calls at once."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._rest = b""
        self._encoder: Any = hpack.Encoder()
        self._encoder.header_table_size = 0  # no server asks for less
        self._decoder: Any = hpack.Decoder()
        self._next = 1
        self._open: dict[int, tuple[Pieces, asyncio.Future[dict[str, str]]]] = {}
        self._owed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        settings = b"".join(key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in _SETTINGS.items())
        window = (MOST - 65_535).to_bytes(4, "big")
        self._transport.write(PREFACE + _frame(SETTINGS, 0, 0, settings) + _frame(WINDOW_UPDATE, 0, 0, window))

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        data = self._rest + data if self._rest else data
        at, end = 0, len(data)
        while end - at >= 9:
            size = int.from_bytes(data[at : at + 3], "big")
            begin, after = at + 9, at + 9 + size
            if after > end:
                break
            kind, flags, stream = data[at + 3], data[at + 4], int.from_bytes(data[at + 5 : at + 9], "big")
            if kind == DATA:
                self._owed += size
                if stream in self._open:
                    self._open[stream][0].append((now, data[begin:after]))
            else:
                self._other(kind, flags, stream, data[begin:after])
            at = after
        self._rest = data[at:]
        if self._owed > GIVE_BACK_BYTES:
            self._transport.write(_frame(WINDOW_UPDATE, 0, 0, self._owed.to_bytes(4, "big")))
            self._owed = 0

    def _other(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == HEADERS:
            headers = dict(self._decoder.decode(payload))
            if flags & END_STREAM and stream in self._open:
                self._open.pop(stream)[1].set_result(headers)
        elif kind == RESET and stream in self._open:
            self._open.pop(stream)[1].set_exception(ConnectionError("the call was reset"))
        elif kind == SETTINGS and not flags & ACK:
            self._transport.write(_frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self._transport.write(_frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            self._fail(f"the server said goodbye: {payload!r}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"it closed: {exc}")

    def _fail(self, why: str) -> None:
        while self._open:
            _, (_, ended) = self._open.popitem()
            if not ended.done():
                ended.set_exception(ConnectionError(why))

    async def call(self, path: str, message: bytes, metadata: Sequence[tuple[str, str]]) -> Pieces:
        """Make a call with one request; give what came, with its times, once all has come.

        Raises:
            ConnectionError: it broke.
            RuntimeError: its status is not OK.
        """
        stream, self._next = self._next, self._next + 2
        pieces: Pieces = []
        ended: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        self._open[stream] = pieces, ended
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "bench"),
            *metadata,
        ]
        body = b"\0" + len(message).to_bytes(4, "big") + message
        block = self._encoder.encode(headers)
        self._transport.write(_frame(HEADERS, END_HEADERS, stream, block) + _frame(DATA, END_STREAM, stream, body))
        try:
            trailers = await ended
        except asyncio.CancelledError:
            self._open.pop(stream, None)
            self._transport.write(_frame(RESET, 0, stream, (8).to_bytes(4, "big")))
            raise
        if trailers.get("grpc-status") != "0":
            raise RuntimeError(f"status {trailers.get('grpc-status')}: {trailers.get('grpc-message', '')}")
        return pieces

    @property
    def is_closed(self) -> bool:
        """Whether it has closed."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()
