"""HTTP/1.1 as cheaply as Python can read it: what comes is kept with its time, and looked at when all has come."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, cast

from bench.llm.answers import question

if TYPE_CHECKING:
    from bench.llm.answers import Wanted

END = b"0\r\n\r\n"
DONE = b"[DONE]"


class Asking(asyncio.Protocol):
    """One connection, which serves one request after another."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, bytes]] = []
        self._transport: asyncio.Transport
        self._ended: asyncio.Future[None] | None = None
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.pieces.append((time.monotonic_ns(), data))
        tail = (self._tail + data)[-64:] if len(data) < 64 else data[-64:]
        self._tail = tail
        if tail.endswith(END) and self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(ConnectionError(f"it closed: {exc}"))

    async def ask(self, request: bytes) -> list[tuple[int, bytes]]:
        """Send a request; give what came, with its times, once all has come."""
        self.pieces = []
        self._tail = b""
        self._ended = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        await self._ended
        return self.pieces

    @property
    def is_closed(self) -> bool:
        """Whether the server has closed it, as they do with those that were idle for a while."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


class Connections:
    """Connections to one address, "127.0.0.1:8000", which stay open from round to round."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._place = host, int(port)
        self._free: list[Asking] = []

    async def open(self, count: int) -> list[Asking]:
        """Give so many connections."""
        loop = asyncio.get_running_loop()
        self._free = [one for one in self._free if not one.is_closed]
        while len(self._free) < count:
            self._free.append((await loop.create_connection(Asking, *self._place))[1])
        return self._free[:count]

    def close(self) -> None:
        """Close all."""
        for one in self._free:
            one.close()


def request_for(wanted: Wanted, address: str) -> bytes:
    """Give a request."""
    body = json.dumps(question(wanted)).encode()
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        f"host: {address}",
        "authorization: Bearer sk-bench",
        "content-type: application/json",
        f"content-length: {len(body)}",
    ]
    return "\r\n".join((*lines, "", "")).encode() + body
