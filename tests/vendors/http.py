"""A small HTTP/1.1 server whose answers leave in pieces of any size, pause, stall, and break off.

Large bodies, those that come and those that go, are in files: a stand-in holds none of them in memory.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections import deque
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

SPOOLED_ABOVE = 4 * 1024 * 1024
PIECE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What came; a body of more than SPOOLED_ABOVE bytes is in `file`, which goes with the server."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    size: int = 0
    sha256: str = ""
    file: Path | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.whole)

    @property
    def whole(self) -> bytes:
        """The body, wherever it is."""
        return self.body if self.file is None else self.file.read_bytes()


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
        file: what its body is, instead of `body`: sent with its length, or the part of it that is asked for.
        breaks_after: of such a body, after so many bytes the connection closes.
        ranges: whether a part of it can be asked for.
    """

    status: int = 200
    body: bytes = b""
    steps: Sequence[Step] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    late: float = 0.0
    never: bool = False
    file: Path | None = None
    breaks_after: int | None = None
    ranges: bool = True


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
        began: when (monotonic) the first byte of each streamed body was written.
        open: connections.
    """

    def __init__(self, handle: Callable[[Request], Reply]) -> None:
        self._handle = handle
        self.piece_bytes = 0
        self.requests: list[Request] = []
        self.dropped: list[float] = []
        self.sent = 0
        self.began: list[float] = []
        self.open = 0
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._folder = Path()

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeServer]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=tls)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with TemporaryDirectory(prefix="am-fake-") as folder:
            self._folder = Path(folder)
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
        request = await _read(reader, first, self._folder) if first not in (b"", _TLS_HANDSHAKE) else None
        if request is None:
            return False
        self.requests.append(request)
        reply = self._handle(request)
        if reply.late:
            await asyncio.sleep(reply.late)
        if reply.never:
            return False
        headers = dict(reply.headers)
        if reply.file is not None:
            return await _send_file(reply, reply.file, request, writer)
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
        begun = False
        for step in steps:
            if step is Cut:
                return False
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            elif isinstance(step, bytes):
                size = self.piece_bytes or len(step)
                begun = begun or self.began.append(time.monotonic()) is None
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


async def _read(reader: asyncio.StreamReader, begin: bytes, folder: Path) -> Request | None:
    try:
        head = (begin + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    body = _Body(folder)
    with body:
        async for piece in _pieces(reader, headers):
            body.take(piece)
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query))
    return Request(method, parts.path, query, headers, bytes(body.small), body.size, body.hash.hexdigest(), body.path)


class _Body:
    """A body as it comes: in memory while it is small, then in a file."""

    def __init__(self, folder: Path) -> None:
        self.small = bytearray()
        self.size = 0
        self.hash = hashlib.sha256()
        self.path: Path | None = None
        self._folder = folder
        self._file: Any = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def take(self, piece: bytes) -> None:
        self.size += len(piece)
        self.hash.update(piece)
        if self._file is None:
            self.small += piece
            if self.size <= SPOOLED_ABOVE:
                return
            self.path = self._folder / f"body-{id(self)}-{time.monotonic_ns()}"
            self._file = self.path.open("wb")
            piece, self.small = bytes(self.small), bytearray()
        self._file.write(piece)


async def _pieces(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            yield await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
        return
    left = int(headers.get("content-length", 0))
    while left:
        piece = await reader.read(min(left, PIECE_BYTES))
        if not piece:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(piece)
        yield piece


async def _send_file(reply: Reply, file: Path, request: Request, writer: asyncio.StreamWriter) -> bool:
    """Send a file, or the part of it that is asked for; tell whether the connection can go on."""
    whole = file.stat().st_size
    asked = re.fullmatch(r"bytes=([0-9]+)-", request.headers.get("range", "")) if reply.ranges else None
    begin = int(asked[1]) if asked else 0
    headers = {"accept-ranges": "bytes", "etag": f'"{whole}"'} if reply.ranges else {}
    headers |= {"content-range": f"bytes {begin}-{whole - 1}/{whole}"} if asked else {}
    headers |= {**reply.headers, "content-length": str(whole - begin)}
    status = 206 if asked and reply.status == 200 else reply.status
    head = f"HTTP/1.1 {status} -\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(head.encode() + b"\r\n")
    left = whole - begin if reply.breaks_after is None else min(reply.breaks_after, whole - begin)
    with file.open("rb") as source:
        source.seek(begin)
        while left and (piece := source.read(min(left, PIECE_BYTES))):
            left -= len(piece)
            writer.write(piece)
            await writer.drain()
    return reply.breaks_after is None
