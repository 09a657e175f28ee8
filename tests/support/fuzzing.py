"""A whole relay worker without sockets, and clients and servers around it that do anything at all.

What the worker gives back is parsed by `hyperframe` and `hpack` and held against the rules that it must keep whatever
was done to it: see Checker.
"""

from __future__ import annotations

import heapq
import itertools
import socket
import struct
from dataclasses import dataclass, field
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

from gateway.relay.limits import Limits
from gateway.relay.settings import RelaySettings
from gateway.relay.sockets import Wire
from gateway.relay.table import Instance, Model, Provider, Table, encode_table
from gateway.relay.worker import Worker
from tests.support import h2
from tests.support.gateway import header

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

# Patient enough to hear many frames, and with so little room that every bound is met.
FUZZED = Limits(
    resets=10**9,
    control_frames=10**9,
    kept_request_bytes=20_000,
    worker_kept_bytes=100_000,
    connection_queue_bytes=200_000,
    worker_queue_bytes=1_000_000,
    upstream_connections=12,
    upstream_streams=4,
)
PROVIDERS = ("near", "far")
ANSWER = h2.block([(b":status", b"200"), (b"content-type", b"application/grpc")])
REFUSED_ANSWER = h2.block([(b":status", b"200"), (b"content-type", b"application/grpc"), (b"grpc-status", b"14")])
TRAILERS = h2.literal(b"grpc-status", b"0")
DATA_BYTES = (0, 1, 5, 100, 5000, 16384)
_PATTERN = bytes(range(251)) * 67


def content(number: int, at: int, size: int) -> bytes:
    """Give bytes that differ by who sends them and by where in the stream they are."""
    begin = (number * 7 + at) % 251
    return _PATTERN[begin : begin + size]


def table() -> Table:
    """Give a routing table with two providers: one is safe to repeat calls at, the other has few places."""

    def provider(name: str) -> Provider:
        is_near = name == "near"
        models = (Model(id="words", names=("words",), capabilities=("speech-to-text",), replay_safe=is_near),)
        places = 0 if is_near else 3
        instances = tuple(Instance(f"{name}-{n}", f"unix:/{name}-{n}", max_concurrent=places) for n in (1, 2))
        return Provider(id=name, names=(name,), models=models, instances=instances)

    return Table(
        version=1, epoch="one", providers=tuple(map(provider, PROVIDERS)), control="unix:/control", settled=True
    )


class FakeTransport:
    """Where a worker writes to, when there is no socket."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.is_closed = False

    # Something to set options of; nothing is ever written to it.
    _socket = socket.socket(socket.AF_UNIX)

    def get_extra_info(self, _name):
        return self._socket

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    def write(self, data):
        assert isinstance(data, bytes | bytearray | memoryview)
        self.written += data

    def writelines(self, pieces):
        for one in pieces:
            self.write(one)

    def close(self):
        self.is_closed = True

    abort = close

    def can_write_eof(self):
        return False

    def is_closing(self):
        return self.is_closed

    def get_write_buffer_size(self):
        return 1  # as if the kernel took nothing: all that is written comes here


class SocketlessWorker(Worker):
    """A worker whose clock, timers and connections belong to a test."""

    def __init__(self, limits: Limits = FUZZED) -> None:
        self.now = 1000.0
        self.timers: list[tuple[float, int, Callable[[], None]]] = []
        self.dialled: list = []
        self._number = itertools.count()
        super().__init__(RelaySettings(routes="unix:/none", limits=limits))
        self.shared.clock = lambda: self.now
        self.feed._copy.apply(encode_table(table()))

    def _later(self, seconds, run):
        heapq.heappush(self.timers, (self.now + seconds, next(self._number), run))

    def _dial(self, upstream):
        self.dialled.append(upstream)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        while self.timers and self.timers[0][0] <= self.now:
            heapq.heappop(self.timers)[2]()
            self.write_all()
        self._sweeper.sweep()
        self.write_all()


@dataclass(slots=True)
class Told:
    """What one stream was told by the worker."""

    data: int = 0
    blocks: int = 0
    name: int = 0
    has_ended: bool = False
    is_reset: bool = False


@dataclass(slots=True)
class Checker:
    """Parses what the worker sends on one connection, and checks that it keeps the rules of a sender.

    Windows are counted in the other end's favour: a value that may not have been taken counts as taken.
    """

    is_server: bool  # the worker is a client here
    on_data: Callable[[int, Told, bytes], None] | None = None
    streams: dict[int, Told] = field(default_factory=dict)
    frames: int = 0
    data: int = 0
    has_failed: bool = False
    credit: int = 65535
    credits: dict[int, int] = field(default_factory=dict)
    initial: int = 65535
    last_id: int = 0
    _rest: bytes = b""
    _sent: bytearray = field(default_factory=bytearray)
    _has_begun: bool = False
    _open: HeadersFrame | None = None
    _piece: bytes = b""
    _decoder: hpack.Decoder = field(default_factory=lambda: hpack.Decoder(max_header_list_size=1 << 20))

    def sent(self, data: bytes) -> None:
        """Take note of bytes that were sent to the worker: windows that they may open."""
        self._sent += data
        if not self.is_server and not self._has_begun:
            if len(self._sent) < len(h2.PREFACE):
                return
            self._has_begun = True
            del self._sent[: len(h2.PREFACE)]
        at = 0
        while len(self._sent) - at >= 9:
            word, _, stream_id = struct.unpack_from("!IBI", self._sent, at)
            if len(self._sent) - at - 9 < word >> 8:
                break
            self._note(word & 0xFF, stream_id & 0x7FFFFFFF, self._sent[at + 9 : at + 9 + (word >> 8)])
            at += 9 + (word >> 8)
        del self._sent[:at]

    def _note(self, kind: int, stream_id: int, payload: bytes) -> None:
        if kind == h2.WINDOW_UPDATE and len(payload) == 4:
            increment = int.from_bytes(payload, "big") & 0x7FFFFFFF
            if stream_id:
                self.credits[stream_id] = self.credits.get(stream_id, 0) + increment
            else:
                self.credit += increment
        elif kind == h2.SETTINGS and not len(payload) % 6:
            values = [value for key, value in struct.iter_unpack("!HI", payload) if key == h2.INITIAL_WINDOW_SIZE]
            self.initial = max(self.initial, *values) if values else self.initial

    def take(self, data: bytes) -> list[Frame]:
        """Parse what came, and check it."""
        if self.is_server and not self.frames and not self._rest and data.startswith(h2.PREFACE):
            data = data[len(h2.PREFACE) :]
        self._rest += data
        came, at = [], 0
        while len(self._rest) - at >= 9:
            made, length = Frame.parse_frame_header(memoryview(self._rest)[at : at + 9])
            assert length <= 16384, "a frame too long"
            if len(self._rest) - at - 9 < length:
                break
            made.parse_body(memoryview(self._rest)[at + 9 : at + 9 + length])
            at += 9 + length
            self._check(made)
            self.frames += 1
            came.append(made)
        self._rest = self._rest[at:]
        return came

    def _check(self, made: Frame) -> None:
        assert not self.has_failed, f"{made} after the last GOAWAY"
        assert self._open is None or isinstance(made, ContinuationFrame), "a block that was interrupted"
        assert self.frames or isinstance(made, SettingsFrame), "SETTINGS come first"
        if isinstance(made, DataFrame):
            self._check_data(made)
        elif isinstance(made, HeadersFrame):
            self._open, self._piece = made, made.data
            self._check_block(made)
        elif isinstance(made, ContinuationFrame):
            assert self._open is not None
            assert made.stream_id == self._open.stream_id
            self._piece += made.data
            self._check_block(made)
        elif isinstance(made, RstStreamFrame):
            told = self.streams.setdefault(made.stream_id, Told())
            assert not told.is_reset, "reset twice"
            told.is_reset = True
        elif isinstance(made, GoAwayFrame):
            self.has_failed = bool(made.error_code)
        else:
            assert isinstance(made, SettingsFrame | PingFrame | WindowUpdateFrame), made

    def _check_data(self, made: DataFrame) -> None:
        told = self.streams[made.stream_id]
        assert not told.has_ended, "DATA after the end"
        assert not told.is_reset, "DATA after a reset"
        assert told.blocks, "DATA before HEADERS"
        if self.on_data is not None:
            self.on_data(made.stream_id, told, made.data)
        told.data += len(made.data)
        self.data += len(made.data)
        assert self.data <= self.credit, "more than the connection's window"
        assert told.data <= self.initial + self.credits.get(made.stream_id, 0), "more than the stream's window"
        told.has_ended = "END_STREAM" in made.flags

    def _check_block(self, made: Frame) -> None:
        if "END_HEADERS" not in made.flags:
            return
        first, self._open = self._open, None
        assert first is not None
        fields = dict(self._decoder.decode(bytes(self._piece), raw=True))
        if first.stream_id not in self.streams:
            assert first.stream_id > self.last_id or not self.is_server, "an id below the last"
            self.last_id = max(self.last_id, first.stream_id)
        told = self.streams.setdefault(first.stream_id, Told())
        assert not told.has_ended, "HEADERS after the end"
        assert not told.is_reset, "HEADERS after a reset"
        told.has_ended = "END_STREAM" in first.flags
        if self.is_server:
            assert not told.blocks, "two blocks of a request"
            told.name = int(fields.get(b"x-name", b"0")) if self.on_data is not None else 0
            assert not told.has_ended or b":path" in fields
        else:
            assert (b":status" in fields) == (not told.blocks), "an answer, then trailers"
            is_status_due = told.has_ended and self.on_data is not None
            assert b"grpc-status" in fields or not is_status_due, "an end without a status"
        told.blocks += 1


class End:
    """The other end of one of the worker's connections."""

    def __init__(self, worker: SocketlessWorker, wire: Wire, checker: Checker) -> None:
        self.worker, self.wire, self.checker = worker, wire, checker
        self.transport = FakeTransport()
        self.ids: list[int] = []
        self.names: dict[int, int] = {}
        self.sent_bytes: dict[int, int] = {}
        self.answering: dict[int, list[int]] = {}
        self.is_open = True
        wire.connection_made(self.transport)

    def send(self, data: bytes, rng: random.Random | None = None) -> None:
        """Send bytes, cut anywhere."""
        self.checker.sent(data)
        while data and self.is_open:
            size = rng.choice((1, 10, 100, 70000)) if rng else len(data)
            piece, data = data[:size], data[size:]
            self.receive(piece)
            self.take()

    def receive(self, piece: bytes) -> None:
        """Let the worker read bytes as a transport does."""
        while piece:
            room = self.wire.get_buffer(-1)
            size = min(len(room), len(piece))
            room[:size] = piece[:size]
            self.wire.buffer_updated(size)
            piece = piece[size:]

    def take(self) -> list[Frame]:
        """Parse what the worker has written; close when it has."""
        written, self.transport.written = bytes(self.transport.written), bytearray()
        came = self.checker.take(written)
        for made in came:
            if self.checker.is_server and isinstance(made, HeadersFrame):
                self.ids.append(made.stream_id)
                self.names[made.stream_id] = name = next(_NAMES)
                self.answering.setdefault(self.checker.streams[made.stream_id].name, []).append(name)
        if self.transport.is_closed and self.is_open:
            self.lose()
        return came

    def lose(self) -> None:
        if self.is_open:
            self.is_open = False
            self.wire.connection_lost(None)


_NAMES = itertools.count(1)


def opening(provider: str) -> bytes:
    return h2.message(header("echo", provider=provider).SerializeToString())


class Fuzzer:
    """Clients and servers that act at random, most often as they should.

    Args:
        rng: everything comes from it: the same seed does the same.
        harm: share of what is sent that is damaged on its way.
    """

    def __init__(self, rng: random.Random, harm: float, limits: Limits = FUZZED) -> None:
        self.rng, self.harm = rng, harm
        self.worker = SocketlessWorker(limits)
        self.clients: list[End] = []
        self.servers: list[End] = []
        self.frames = 0
        self._next_ids: dict[End, int] = {}
        self._requests: dict[int, bytes] = {}  # first messages of calls by name; what follows is made by name
        self._answering: dict[int, list[int]] = {}  # which of the servers' streams had a call, by their names

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()

    def step(self) -> None:
        """Do one thing, then look at all that came of it."""
        what = self.rng.random()
        if what < 0.55:
            self._client_acts()
        elif what < 0.9:
            self._server_acts()
        elif what < 0.95:
            self.worker.pass_time(self.rng.choice((0.001, 0.03, 0.5)))
        elif what < 0.96:
            self._lose_one()
        else:
            self._pause_one()
        self._dial()
        self.take()
        stats = self.worker.shared.stats
        assert stats.queued >= 0
        assert stats.kept >= 0

    def take(self) -> None:
        """Take what was written to everyone, until nothing more is."""
        for _ in range(100):
            self.worker.write_all()
            came = [end.take() for end in (*self.clients, *self.servers)]
            self.frames += sum(map(len, came))
            self.clients = [end for end in self.clients if end.is_open]
            self.servers = [end for end in self.servers if end.is_open]
            if not any(came):
                return
        raise AssertionError("it never stops writing")

    def _dial(self, *, patient: bool = True) -> None:
        """Connect the worker to the servers that it asks for; some take a while, some are not there."""
        dialled, self.worker.dialled = self.worker.dialled, []
        for upstream in dialled:
            if patient and self.rng.random() < 0.5:
                self.worker.dialled.append(upstream)
                continue
            if self.rng.random() < 0.05:
                upstream.outbox.clear()
                self.worker.servers.closed(upstream)
                continue
            checker = Checker(is_server=True)
            end = End(self.worker, Wire(self.worker, upstream), checker)
            end.answering = self._answering
            if not self.harm:
                checker.on_data = self._check_request()
            if end.transport.is_closed:
                end.lose()
                continue
            self.servers.append(end)
            end.send(h2.settings())

    def _client_acts(self) -> None:
        if not self.clients or (len(self.clients) < 5 and self.rng.random() < 0.02):
            end = End(self.worker, self.worker.accept(), Checker(is_server=False))
            if not self.harm:
                end.checker.on_data = self._check_answer(end)
            self.clients.append(end)
            self._next_ids[end] = 1
            end.send(h2.PREFACE)
            end.send(h2.settings() + h2.frame(h2.SETTINGS, h2.ACK, 0))
            return
        end = self.rng.choice(self.clients)
        sent = self._request(end) if not end.ids or self.rng.random() < 0.3 else self._on_stream(end, TRAILERS)
        self._send(end, sent)

    def _request(self, end: End) -> bytes:
        stream_id = self._next_ids[end]
        self._next_ids[end] += 2
        end.ids = [*end.ids[-8:], stream_id]
        provider = self.rng.choice(PROVIDERS)
        name = next(_NAMES)
        end.names[stream_id] = name
        self._requests[name] = first = opening(provider)
        extra = [(b"x-name", b"%d" % name)]
        extra += [(b"automarket-provider", provider.encode())] if self.rng.random() < 0.5 else []
        if self.rng.random() < 0.2:
            extra.append((b"grpc-timeout", self.rng.choice((b"1S", b"10m", b"99999999H", b"1x"))))
        if self.rng.random() < 0.1:
            extra.append((b"content-length", self.rng.choice((b"1000", b"0", b"x"))))
        method = self.rng.choice(("Transform", "Transform", "GetModel", "Generate"))
        block = h2.block(h2.request(h2.MODELS + method, *extra))
        return h2.headers(stream_id, block) + h2.data(stream_id, first, end=self.rng.random() < 0.3)

    def _server_acts(self) -> None:
        if not self.servers:
            return
        end = self.rng.choice(self.servers)
        if not end.ids:
            self._send(end, self._on_connection())
            return
        stream_id = self.rng.choice(end.ids[-5:])
        what = self.rng.random()
        if what < 0.25:
            sent = h2.headers(stream_id, self.rng.choice((ANSWER, ANSWER, REFUSED_ANSWER)))
        elif what < 0.35:
            sent = h2.headers(stream_id, self.rng.choice((TRAILERS, REFUSED_ANSWER)), end=True)
        else:
            sent = self._on_stream(end, TRAILERS)
        self._send(end, sent)

    def _on_stream(self, end: End, trailers: bytes) -> bytes:
        rng, stream_id = self.rng, self.rng.choice(end.ids[-5:])
        what = rng.random()
        if what < 0.45:
            payload = self._content(end, stream_id, rng.choice(DATA_BYTES))
            ends = rng.random() < 0.15
            if rng.random() < 0.1:
                payload = payload[:1000]
                self._note(end, stream_id, payload)
                return h2.padded(h2.DATA, int(ends), stream_id, payload, rng.randrange(100))
            self._note(end, stream_id, payload)
            return h2.data(stream_id, payload, end=ends)
        if what < 0.6:
            return h2.window_update(stream_id, rng.choice((1, 1000, 65535)))
        if what < 0.66:
            return h2.reset(stream_id, rng.randrange(14))
        if what < 0.7:
            return h2.headers(stream_id, trailers, end=True)
        return self._on_connection()

    def _content(self, end: End, stream_id: int, size: int) -> bytes:
        return content(end.names.get(stream_id, 0), end.sent_bytes.get(stream_id, 0), size)

    def _note(self, end: End, stream_id: int, payload: bytes) -> None:
        end.sent_bytes[stream_id] = end.sent_bytes.get(stream_id, 0) + len(payload)

    def _check_request(self) -> Callable[[int, Told, bytes], None]:
        """Give what checks that a server gets what the client sent, from the first byte on."""

        def check(_: int, told: Told, data: bytes) -> None:
            first = self._requests[told.name]
            rest = content(told.name, max(0, told.data - len(first)), len(data))
            assert data == (first[told.data :] + rest)[: len(data)], f"other bytes at {told.data} of a request"

        return check

    def _check_answer(self, end: End) -> Callable[[int, Told, bytes], None]:
        """Give what checks that a client gets what one of the servers sent, from the first byte on."""
        possible: dict[int, list[int]] = {}

        def check(stream_id: int, told: Told, data: bytes) -> None:
            servers = self._answering.get(end.names[stream_id], [])
            left = [one for one in possible.get(stream_id, servers) if content(one, told.data, len(data)) == data]
            assert left or not data, f"other bytes at {told.data} of an answer"
            possible[stream_id] = left

        return check

    def _on_connection(self) -> bytes:
        rng = self.rng
        makers: list[Callable[[], bytes]] = [
            *[lambda: h2.window_update(0, rng.choice((1, 16384, 65535, 300_000)))] * 12,
            *[lambda: h2.ping(rng.randbytes(8))] * 2,
            *[lambda: h2.settings((h2.INITIAL_WINDOW_SIZE, rng.choice((0, 1, 100, 65535, 300_000))))] * 2,
            lambda: h2.settings((h2.MAX_CONCURRENT_STREAMS, rng.choice((0, 1, 3, 100)))),
            lambda: h2.goaway(rng.choice((0, 1, 5, 2**31 - 1))),
            lambda: h2.frame(h2.PRIORITY, 0, 1, bytes(5)),
            lambda: h2.frame(rng.randrange(10, 256), rng.randrange(256), rng.randrange(10), bytes(rng.randrange(50))),
        ]
        return rng.choice(makers)()

    def _send(self, end: End, data: bytes) -> None:
        if self.rng.random() < self.harm:
            data = damaged(self.rng, data)
        self.frames += 1
        end.send(data, self.rng if self.rng.random() < 0.3 else None)

    def _lose_one(self) -> None:
        everyone = self.clients + self.servers
        if everyone:
            self.rng.choice(everyone).lose()

    def _pause_one(self) -> None:
        everyone = self.clients + self.servers
        if everyone:
            wire = self.rng.choice(everyone).wire
            (wire.resume_writing if wire.connection.is_paused else wire.pause_writing)()

    def finish(self) -> None:
        """Let everybody go, and check that nothing is left."""
        for end in self.clients + self.servers:
            if end.wire.connection.is_paused:
                end.wire.resume_writing()
        self.take()
        for end in (*self.clients, *self.servers):
            end.lose()
        self._dial(patient=False)
        for end in self.servers:
            end.lose()
        self.take()
        for _ in range(8):
            self.worker.pass_time(0.5)
        self.check_empty()

    def check_empty(self) -> None:
        worker, stats = self.worker, self.worker.shared.stats
        assert (stats.queued, stats.kept) == (0, 0)
        assert not worker.sessions
        assert not worker.leases.open
        assert not worker._wires
        assert not worker._announced
        assert not [one for one in worker.balance.standings.values() if one.outstanding]


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Give bytes with some of them changed, left out, doubled or invented."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(made) + 1)
        what = rng.random()
        if what < 0.5 and at < len(made):
            made[at] ^= 1 << rng.randrange(8)
        elif what < 0.65:
            del made[at : at + rng.randrange(1, 12)]
        elif what < 0.8:
            made[at:at] = rng.randbytes(rng.randrange(1, 12))
        elif what < 0.9:
            made[at:at] = made[:at]
        else:
            made[:9] = struct.pack("!IBI", rng.randrange(2**32), rng.randrange(256), rng.randrange(2**32))
    return bytes(made)
