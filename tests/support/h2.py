"""A raw end of an HTTP/2 connection: it sends any bytes, right or wrong, and keeps every frame that it is sent.

What comes in is parsed by `hyperframe` and `hpack`, so that it is also shown to be valid HTTP/2.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import hpack
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

Fields = "list[tuple[bytes, bytes]]"

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 1
END_HEADERS, PADDED, WITH_PRIORITY = 4, 8, 32
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = (
    range(1, 7)
)
(
    NO_ERROR,
    PROTOCOL_ERROR,
    INTERNAL_ERROR,
    FLOW_CONTROL_ERROR,
    SETTINGS_TIMEOUT,
    STREAM_CLOSED,
    FRAME_SIZE_ERROR,
    REFUSED_STREAM,
    CANCEL,
    COMPRESSION_ERROR,
    CONNECT_ERROR,
    ENHANCE_YOUR_CALM,
) = range(12)
MODELS = "/automarket.v1.ModelService/"


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"", *, length: int | None = None) -> bytes:
    """Give a frame; `length` may lie."""
    size = len(payload) if length is None else length
    return struct.pack("!IBI", (size << 8) | kind, flags, stream_id) + payload


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack("!HI", key, value) for key, value in pairs))


def window_update(stream_id: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream_id, struct.pack("!I", increment))


def reset(stream_id: int, code: int = CANCEL) -> bytes:
    return frame(RST_STREAM, 0, stream_id, struct.pack("!I", code))


def goaway(last_id: int, code: int = NO_ERROR) -> bytes:
    return frame(GOAWAY, 0, 0, struct.pack("!II", last_id, code))


def ping(payload: bytes = b"12345678") -> bytes:
    return frame(PING, 0, 0, payload)


def data(stream_id: int, payload: bytes, *, end: bool = False) -> bytes:
    return frame(DATA, END_STREAM if end else 0, stream_id, payload)


def padded(kind: int, flags: int, stream_id: int, payload: bytes, padding: int = 10) -> bytes:
    return frame(kind, flags | PADDED, stream_id, bytes((padding,)) + payload + bytes(padding))


def headers(stream_id: int, block: bytes, *, end: bool = False, end_headers: bool = True) -> bytes:
    return frame(HEADERS, (END_STREAM if end else 0) | (END_HEADERS if end_headers else 0), stream_id, block)


def integer(value: int, prefix: int, first: int = 0) -> bytes:
    """Give an integer of HPACK (RFC 7541, section 5.1)."""
    most = (1 << prefix) - 1
    if value < most:
        return bytes((first | value,))
    made = bytearray((first | most,))
    value -= most
    while value >= 128:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def literal(name: bytes, value: bytes) -> bytes:
    """Give a field that refers to nothing and that nobody keeps."""
    return b"\x00" + integer(len(name), 7) + name + integer(len(value), 7) + value


def block(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(literal(name, value) for name, value in fields)


def request(method: str = MODELS + "Transform", *extra: tuple[bytes, bytes]) -> Fields:
    """Give the fields of a gRPC request."""
    return [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", method.encode()),
        (b":authority", b"mesh"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        *extra,
    ]


def message(content: bytes = b"", *, compressed: bool = False) -> bytes:
    """Give a gRPC message."""
    return struct.pack("!?I", compressed, len(content)) + content


@dataclass(frozen=True, slots=True)
class Block:
    """A header block that came."""

    stream_id: int
    fields: tuple[tuple[bytes, bytes], ...]
    end: bool

    def get(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.fields if key == name), None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the other end took something: goaway, reset, status or closed; with the code of the first three."""

    kind: str
    code: int = 0


class RawEnd:
    """One end of a connection.

    Attributes:
        frames: all that came, in order.
        blocks: the header blocks among them, put together and decoded.
        received: bytes of DATA without padding, by stream.
        credits: give window back for DATA that comes.
        is_polite: acknowledge SETTINGS and PING.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_client: bool) -> None:
        self._reader, self._writer, self._is_client = reader, writer, is_client
        self.frames: list[Frame] = []
        self.blocks: list[Block] = []
        self.received: dict[int, bytearray] = {}
        self.ended: set[int] = set()
        self.raw = bytearray()
        self.is_closed = False
        self.credits = True
        self.is_polite = True
        self._decoder = hpack.Decoder(max_header_list_size=1 << 20)
        self._open: HeadersFrame | None = None
        self._piece = bytearray()
        self._news = asyncio.Event()
        self._next_id = 1
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            await self._read_frames()
        except (OSError, asyncio.IncompleteReadError) as error:
            self.raw += getattr(error, "partial", b"")
        finally:
            self.is_closed = True
            self._news.set()

    async def _read_frames(self) -> None:
        if not self._is_client and await self._reader.readexactly(len(PREFACE)) != PREFACE:
            raise AssertionError("no preface")
        while True:
            head = await self._reader.readexactly(9)
            self.raw += head
            if head.startswith(b"HTTP/1.1"):
                self.raw += await self._reader.read()
                return
            made, length = Frame.parse_frame_header(memoryview(head))
            assert length <= 16384, f"{made} of {length} bytes"
            made.parse_body(memoryview(await self._reader.readexactly(length)))
            self._take(made, length)
            self._news.set()

    def _take(self, made: Frame, length: int) -> None:
        self.frames.append(made)
        if isinstance(made, HeadersFrame | ContinuationFrame):
            self._take_block(made)
        elif isinstance(made, DataFrame):
            self.received.setdefault(made.stream_id, bytearray()).extend(made.data)
            if self.credits and length:
                ends = "END_STREAM" in made.flags
                self.write(window_update(0, length) + (b"" if ends else window_update(made.stream_id, length)))
        elif isinstance(made, SettingsFrame | PingFrame) and self.is_polite and "ACK" not in made.flags:
            self.write(frame(made.type, ACK, 0, made.opaque_data if isinstance(made, PingFrame) else b""))
        if "END_STREAM" in made.flags:
            self.ended.add(made.stream_id)

    def _take_block(self, made: HeadersFrame | ContinuationFrame) -> None:
        if isinstance(made, HeadersFrame):
            assert self._open is None, "a block within a block"
            self._open = made
        else:
            assert self._open is not None, "CONTINUATION of nothing"
            assert made.stream_id == self._open.stream_id, "CONTINUATION of another stream"
        self._piece += made.data
        if "END_HEADERS" in made.flags:
            fields = self._decoder.decode(bytes(self._piece), raw=True)
            end = "END_STREAM" in self._open.flags
            self.blocks.append(Block(made.stream_id, tuple((bytes(key), bytes(value)) for key, value in fields), end))
            self._open, self._piece = None, bytearray()

    def write(self, *pieces: bytes) -> None:
        """Send bytes without waiting until they have gone."""
        if not self._writer.is_closing():
            self._writer.write(b"".join(pieces))

    async def send(self, *pieces: bytes) -> bool:
        """Send bytes; tell whether the other end still took them."""
        self.write(*pieces)
        with contextlib.suppress(OSError):
            await self._writer.drain()
        return not self._writer.is_closing() and not self.is_closed

    async def until(self, condition: Callable[[], object], timeout: float = 10, what: str = "") -> object:
        """Wait until `condition()` gives something; give that."""
        try:
            async with asyncio.timeout(timeout):
                while not (found := condition()):
                    self._news.clear()
                    if self.is_closed:
                        raise AssertionError(f"closed before {what or 'it came'}: {self.frames[-5:]}")
                    await self._news.wait()
                return found
        except TimeoutError:
            raise AssertionError(f"not within {timeout} s: {what}; last came {self.frames[-5:]}") from None

    def all_of(self, kind: type[Frame], stream_id: int | None = None) -> list[Frame]:
        return [
            one for one in self.frames if isinstance(one, kind) and (stream_id is None or one.stream_id == stream_id)
        ]

    def block_of(self, stream_id: int, number: int = 0) -> Block | None:
        found = [one for one in self.blocks if one.stream_id == stream_id]
        return found[number] if len(found) > number else None

    def granted(self, stream_id: int) -> int:
        """Give the bytes of window that came for a stream beyond those it begins with."""
        return sum(one.window_increment for one in self.all_of(WindowUpdateFrame, stream_id))

    def status(self, stream_id: int) -> int | None:
        """Give the gRPC status of a stream that has ended."""
        found = [one for one in self.blocks if one.stream_id == stream_id and one.end]
        return int(found[0].get(b"grpc-status") or b"2") if found else None

    def verdict(self, stream_id: int | None = None) -> Verdict | None:
        """Give how the other end took what was sent, None while that is open."""
        for one in self.frames:
            if isinstance(one, GoAwayFrame) and one.error_code:
                return Verdict("goaway", one.error_code)
            is_reset = isinstance(one, RstStreamFrame) and one.stream_id == stream_id
            # After a whole answer it only says that the rest of the request is not wanted.
            if is_reset and (one.error_code or self.status(stream_id) is None):
                return Verdict("reset", one.error_code)
        if stream_id is not None and (status := self.status(stream_id)) is not None:
            return Verdict("status", status)
        return Verdict("closed") if self.is_closed else None

    async def judged(self, stream_id: int | None = None, timeout: float = 10) -> Verdict:
        """Wait for the verdict; after a GOAWAY with a fault the connection has to close as well."""
        verdict = await self.until(lambda: self.verdict(stream_id), timeout, "a verdict")
        assert isinstance(verdict, Verdict)
        if verdict.kind == "goaway":
            await self.gone(timeout)
        return verdict

    async def gone(self, timeout: float = 10) -> None:
        """Wait until the other end has closed."""
        await self.until(lambda: self.is_closed, timeout, "the end of the connection")

    async def settled(self) -> None:
        """Wait until the other end's SETTINGS came, and it has acknowledged ours and knows that we did."""
        await self.until(lambda: len(self.all_of(SettingsFrame)) > 1, what="SETTINGS and their acknowledgement")
        await self.sync()

    async def sync(self) -> None:
        """Wait until the other end has looked at all that was sent before."""
        token = b"sync%04d" % (len(self.frames) % 10000)
        before = len(self.frames)
        await self.send(ping(token))

        def is_answered() -> bool:
            return any(isinstance(one, PingFrame) and one.opaque_data == token for one in self.frames[before:])

        await self.until(is_answered, what="the answer to a PING")

    def next_id(self) -> int:
        stream_id, self._next_id = self._next_id, self._next_id + 2
        return stream_id

    async def call(self, fields: Fields, *payloads: bytes, end: bool = False) -> int:
        """Begin a call; give the id of its stream."""
        stream_id = self.next_id()
        last = len(payloads) - 1
        pieces = [data(stream_id, one, end=end and number == last) for number, one in enumerate(payloads)]
        await self.send(headers(stream_id, block(fields), end=end and not payloads), *pieces)
        return stream_id

    async def answered(self, stream_id: int, timeout: float = 10) -> tuple[Block, bytes]:
        """Wait for the end of a call; give its last block and the bytes that came."""
        await self.until(lambda: self.status(stream_id) is not None, timeout, f"the end of stream {stream_id}")
        last = [one for one in self.blocks if one.stream_id == stream_id][-1]
        return last, bytes(self.received.get(stream_id, b""))

    async def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def _connection(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.startswith("unix:"):
        return await asyncio.open_unix_connection(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


@asynccontextmanager
async def raw_client(
    address: str, *first: bytes, preface: bytes = PREFACE, settle: bool = True, polite: bool = True
) -> AsyncGenerator[RawEnd]:
    """Connect to a server; `first` is sent after the preface, by default SETTINGS with nothing in them."""
    end = RawEnd(*await _connection(address), is_client=True)
    end.is_polite = polite
    try:
        if preface:
            await end.send(preface, *(first or (settings(),)))
            if settle:
                await end.settled()
        elif first:
            await end.send(*first)
        yield end
    finally:
        await end.close()


class RawServer:
    """A server whose connections do what a function says, each in a task of its own.

    Attributes:
        ends: every connection that was ever made to it.
    """

    def __init__(self, address: str, act: Callable[[RawEnd], Awaitable[None]], *first: bytes) -> None:
        self.address = address
        self.ends: list[RawEnd] = []
        self._act = act
        self._first = first or (settings(),)
        self._faults: list[BaseException] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = RawEnd(reader, writer, is_client=False)
        self.ends.append(end)
        try:
            await end.send(*self._first)
            await self._act(end)
            await end.gone(60)
        except (AssertionError, OSError) as error:  # given to whoever leaves `running`, if it asks
            self._faults.append(error)
        finally:
            await end.close()

    @property
    def faults(self) -> list[BaseException]:
        return self._faults

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[RawServer]:
        path = Path(self.address.removeprefix("unix:"))
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._serve(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_unix_server(accept, path)
        try:
            yield self
        finally:
            server.close()
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
