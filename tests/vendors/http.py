"""A small HTTP/1.1 server whose answers leave in pieces of any size, pause, stall, and break off."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections import deque
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is sent for so long."""

    seconds: float


class Cut:
    """The connection closes here, before the body has ended."""


Step = bytes | Pause | type[Cut]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; with `steps` its body is streamed, else it is `body`, with its length said before.

    Attributes:
        late: seconds after which it is sent.
        never: it is not sent at all; the connection closes instead.
    """

    status: int = 200
    body: bytes = b""
    steps: Sequence[Step] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    late: float = 0.0
    never: bool = False


def answer(value: Any, status: int = 200, **headers: str) -> Reply:
    """Give JSON. Names of headers are written with "_" for "-"."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, json.dumps(value).encode(), headers={"content-type": "application/json", **named})


def page(status: int) -> Reply:
    """Give a page of HTML, as the edge of a network does."""
    body = f"<html><body><h1>{status} from the edge</h1></body></html>".encode()
    return Reply(status, body, headers={"content-type": "text/html"})


def meddle(instead: deque[tuple[str, str, Reply]], request: Request) -> Reply | None:
    """Give what a request gets instead of an answer, once: the first one of its method whose path ends like its own."""
    for one in instead:
        method, end, reply = one
        if request.method == method and request.path.endswith(end):
            instead.remove(one)
            return reply
    return None


class FakeServer:
    """Serves on 127.0.0.1.

    Attributes:
        piece_bytes: streamed bodies leave in pieces of so many bytes, whatever they cut; 0 leaves them as they are.
        requests: what came, oldest first.
        dropped: when (monotonic) clients went away before a body had ended.
        sent: bytes of streamed bodies that were written.
        open: connections.
    """

    def __init__(self, handle: Callable[[Request], Reply]) -> None:
        self._handle = handle
        self.piece_bytes = 0
        self.requests: list[Request] = []
        self.dropped: list[float] = []
        self.sent = 0
        self.open = 0
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeServer]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=tls)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def close_connections(self) -> None:
        """Close all connections, as a server does with those that were idle for long."""
        for writer in self._writers:
            writer.close()

    @property
    def posts(self) -> list[Request]:
        return [one for one in self.requests if one.method == "POST"]

    def asked(self, path: str = "") -> list[Request]:
        return [one for one in self.requests if one.path.endswith(path)]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.open += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._one(reader, writer):
                    pass
        except asyncio.CancelledError:
            pass  # the end of the test
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            self.open -= 1
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first = await reader.read(1)
        if first == _TLS_HANDSHAKE:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        request = await _read(reader, first) if first not in (b"", _TLS_HANDSHAKE) else None
        if request is None:
            return False
        self.requests.append(request)
        reply = self._handle(request)
        if reply.late:
            await asyncio.sleep(reply.late)
        if reply.never:
            return False
        headers = dict(reply.headers)
        if reply.steps is None:
            headers["content-length"] = str(len(reply.body))
        else:
            headers["transfer-encoding"] = "chunked"
        head = f"HTTP/1.1 {reply.status} -\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(head.encode() + b"\r\n" + reply.body * (reply.steps is None))
        await writer.drain()
        return reply.steps is None or await self._stream(reply.steps, reader, writer)

    async def _stream(self, steps: Sequence[Step], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        leaving = asyncio.create_task(reader.read(1))
        writing = asyncio.create_task(self._write(steps, writer))
        try:
            await asyncio.wait({leaving, writing}, return_when=asyncio.FIRST_COMPLETED)
            if not writing.done() or writing.exception() is not None:
                self.dropped.append(time.monotonic())
                return False
            return writing.result()
        finally:
            for task in (leaving, writing):
                task.cancel()
            await asyncio.gather(leaving, writing, return_exceptions=True)

    async def _write(self, steps: Sequence[Step], writer: asyncio.StreamWriter) -> bool:
        for step in steps:
            if step is Cut:
                return False
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            elif isinstance(step, bytes):
                size = self.piece_bytes or len(step)
                for begin in range(0, len(step), size):
                    piece = step[begin : begin + size]
                    writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                    self.sent += len(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


_TLS_HANDSHAKE = b"\x16"


async def _read(reader: asyncio.StreamReader, begin: bytes) -> Request | None:
    try:
        head = (begin + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    body = await _read_body(reader, headers)
    parts = urlsplit(target)
    return Request(method, parts.path, dict(parse_qsl(parts.query)), headers, body)


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    pieces = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(pieces)
