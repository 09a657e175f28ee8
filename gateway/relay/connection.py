"""The core of the relay: one HTTP/2 connection as a machine that takes bytes and gives bytes and events.

It knows no sockets, no gRPC and no routing. Both flow-control windows end here: what comes in is acknowledged when it
has been handed on, so that a slow receiver slows its own sender down and nobody else's.

A DATA frame of a stream that has a peer goes straight on: its stream id is written over where it lies, and the run of
frames that go the same way is handed on as one slice. Everything else takes the slow road through `_frame`.

Attention: nothing in `receive` may be awaited or raise; a fault of the peer ends in `fail`.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from gateway.relay import frames
from gateway.relay.frames import HEAD, MAX_FRAME_BYTES, MAX_WINDOW, ErrorCode
from gateway.relay.headers import NO_TABLE, CompressionError, FieldCache, HeaderListTooLarge, HeaderReader
from gateway.relay.limits import Limits, Meter
from gateway.relay.stream import BULK_BYTES, BULK_WINDOW, MOST_WINDOW, WINDOW, Stream, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.relay.headers import FieldList

CONNECTION_WINDOW: Final = 4 * 1024 * 1024
_EXTRA_WINDOW: Final = 4 * 1024 * 1024
_CONNECTION_GRANT: Final = CONNECTION_WINDOW // 4
_LEAST_GRANT: Final = 64 * 1024
_FLUSH_BYTES: Final = 256 * 1024
_QUANTUM: Final = 4 * MAX_FRAME_BYTES
_LONG_RTT_SECONDS: Final = 0.002

_PACK_ID: Final = struct.Struct("!I").pack_into
_LONGEST_DATA: Final = MAX_FRAME_BYTES << 8
_ID_MASK: Final = 0x7FFFFFFF
_PLAIN_TEXT: Final = b"This port speaks gRPC: HTTP/2 with prior knowledge.\n"
_PLAIN_ANSWER: Final = (
    b"HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-type: text/plain\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_PLAIN_TEXT), _PLAIN_TEXT)
)
_FIXED_SIZES: Final = {frames.PRIORITY: 5, frames.RST_STREAM: 4, frames.PING: 8, frames.WINDOW_UPDATE: 4}


class Events(Protocol):
    """What a connection tells."""

    def on_headers(self, stream: Stream, fields: FieldList | None, *, end: bool) -> None:
        """A header block came; None when it holds more than was announced as the most."""

    def on_data(self, stream: Stream, payload: bytes, *, end: bool) -> None:
        """DATA came that does not go straight on. `payload` may be empty when it ends the stream."""

    def on_reset(self, stream: Stream, code: int) -> None:
        """The peer ended a stream; it is out of the connection's hands already."""

    def on_done(self, stream: Stream) -> None:
        """Both directions of a stream have ended."""

    def on_goaway(self, connection: Connection, last_id: int) -> None:
        """The peer takes no new streams; those above `last_id` it has not looked at."""

    def on_ping_answered(self, connection: Connection) -> None:
        """The peer has answered a PING."""


@dataclass(slots=True)
class Stats:
    """What a worker counts."""

    frames: int = 0
    queued: int = 0
    queued_most: int = 0
    kept: int = 0
    limits: dict[str, int] = field(default_factory=dict[str, int])

    def hit(self, limit: str) -> None:
        """Note that a limit was hit."""
        self.limits[limit] = self.limits.get(limit, 0) + 1


class Shared:
    """What all connections of a worker share.

    Attributes:
        dirty: connections that have bytes to be written.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self.limits = limits
        self.clock = clock
        self.cache = FieldCache()
        self.stats = Stats()
        self.dirty: list[Connection] = []


class Connection:
    """One connection, at whose other end is a client (`is_server`) or a server.

    Attributes:
        outbox: bytes to be written, in order.
        is_paused: the transport's buffer is full: what is written still goes there, and its senders get no window.
        withheld: ends of calls that get window when it is not full any more.
        rest: what came of a frame that is not whole.
        has_more: a flush stopped although more could go.
        is_failed: a GOAWAY with a fault was sent; nothing more is read.
        held: bytes that came here and wait to be sent elsewhere.
        measure_rtt: gives the round-trip time in seconds, 0 when unknown.
    """

    def __init__(self, shared: Shared, events: Events, *, is_server: bool) -> None:
        limits = shared.limits
        self.shared = shared
        self.events = events
        self.is_server = is_server
        self.streams: dict[int, Stream] = {}
        self.outbox: list[bytes | memoryview] = []
        self.tx = frames.DEFAULT_WINDOW
        self.rx: int = CONNECTION_WINDOW
        self.held = 0
        self.is_paused = False
        self.is_failed = False
        self.is_settled = False
        self.has_more = False
        self._may_resume = False
        self.last_id = 0
        self.refuse_above = frames.MAX_STREAM_ID
        self.peer_window = frames.DEFAULT_WINDOW
        self.peer_streams: int | None = None
        self.measure_rtt: Callable[[], float] = lambda: 0.0
        self.blocked: dict[int, Stream] = {}
        self.received = 0
        self.withheld: set[Stream] = set()
        self._unsent: dict[Connection, int] = {}
        self._extra = 0
        self._owed = 0
        self._withholds = False
        self.rest = b""
        self._preface_left = frames.PREFACE if is_server else b""
        self._block: _Block | None = None
        self._reader = HeaderReader(shared.cache, limits.header_list_bytes, repeats=not is_server)
        self._has_sent_headers = False
        self._next_id = 1
        self._control = Meter(limits.control_frames, limits.control_seconds)
        self._let_go: deque[int] = deque(maxlen=1000)
        self.resets = Meter(limits.resets, limits.resets_seconds)
        if not is_server:
            self._begin()

    def _begin(self) -> None:
        announced = {
            frames.HEADER_TABLE_SIZE: 0,
            frames.INITIAL_WINDOW_SIZE: frames.DEFAULT_WINDOW,
            frames.MAX_HEADER_LIST_SIZE: self.shared.limits.header_list_bytes,
        }
        announced |= (
            {frames.MAX_CONCURRENT_STREAMS: self.shared.limits.streams} if self.is_server else {frames.ENABLE_PUSH: 0}
        )
        preface = b"" if self.is_server else frames.PREFACE
        credit = frames.window_update(0, CONNECTION_WINDOW - frames.DEFAULT_WINDOW)
        self.write(preface + frames.settings(announced) + credit)

    # What is written

    def write(self, data: bytes | memoryview) -> None:
        """Put bytes behind those that are to be written already."""
        if not self.outbox:
            self.shared.dirty.append(self)
        self.outbox.append(data)

    def open_stream(self, block: bytes, *, end: bool) -> Stream:
        """Begin a stream to a server with its request's header block."""
        stream = Stream(self, self._next_id, self.peer_window)
        self._next_id += 2
        self.streams[stream.id] = stream
        self._write_headers(stream, block, end=end)
        return stream

    @property
    def opened_id(self) -> int:
        """Give the last stream that was begun to a server."""
        return self._next_id - 2

    @property
    def has_ids(self) -> bool:
        """Tell whether there are stream ids left."""
        return self._next_id < frames.MAX_STREAM_ID

    def send_headers(self, stream: Stream, block: bytes, *, end: bool) -> None:
        """Send a header block to a stream, behind the data that waits for it."""
        stream.is_ending = stream.is_ending or end
        if stream.queue is not None:
            stream.queue.append(Waiting(block, 0, end=end, is_headers=True))
        else:
            self._write_headers(stream, block, end=end)

    def _write_headers(self, stream: Stream, block: bytes, *, end: bool) -> None:
        if not self._has_sent_headers:
            self._has_sent_headers = True
            block = NO_TABLE + block
        self.write(frames.headers(stream.id, block, end_stream=end))
        if end:
            self._told(stream)

    def send_data(self, stream: Stream, payload: bytes, credit: int, *, end: bool) -> None:
        """Send at most a frame of data to a stream now, or when its windows allow.

        Args:
            stream: where it goes, on this connection.
            payload: the bytes.
            credit: bytes of it that its peer gets back as window when they have gone.
            end: nothing comes after it.
        """
        size = len(payload)
        stream.is_ending = stream.is_ending or end
        if stream.queue is None and (not size or (size <= stream.tx and size <= self.tx)):
            stream.tx -= size
            self.tx -= size
            self.write(HEAD.pack(size << 8, end, stream.id) + payload)
            if self.is_paused and stream.peer is not None:
                self.count_unsent(stream.peer.connection, size)
            if credit and stream.peer is not None:
                stream.peer.connection.consumed(stream.peer, credit)
            if end:
                self._told(stream)
            return
        is_first = stream.queue is None
        if stream.queue is None:
            stream.queue = deque()
            stream.progress = self.shared.clock()
            self.blocked[stream.id] = stream
        if not (stream.queue and stream.queue[-1].takes(payload, credit, end=end)):
            stream.queue.append(Waiting(payload, credit, end=end))
        self._wait(stream, size)
        if is_first:  # as much of it as fits: nothing else may ever open the window
            self._flush_stream(stream)

    def _wait(self, stream: Stream, size: int) -> None:
        """Note that so many bytes more wait for a stream (or less, below 0)."""
        stream.queued += size
        self._count_waiting(stream.peer.connection if stream.peer is not None else self, size)

    def hold(self, size: int) -> None:
        """Note that so many bytes more that came from here wait elsewhere (or less, below 0)."""
        self.held += size
        if self._withholds and size < 0:
            self._grant_connection()

    def resume(self) -> None:
        """Send what waits, stream by stream in turn; the driver writes it and asks again where there is more."""
        self.has_more = self._flush()

    def count_unsent(self, source: Connection, size: int) -> None:
        """Note that bytes from another connection went to a transport that is full."""
        self._unsent[source] = self._unsent.get(source, 0) + size
        self._count_waiting(source, size)

    def unpause(self) -> None:
        """Go on after the transport was full: senders get the window that was withheld from them."""
        self.is_paused = False
        self.settle_unsent()
        withheld, self.withheld = self.withheld, set()
        for stream in withheld:
            stream.connection.consumed(stream, 0)
        self.resume()

    def settle_unsent(self) -> None:
        """Note that what went to the transport has gone, or never will."""
        unsent, self._unsent = self._unsent, {}
        for source, size in unsent.items():
            self._count_waiting(source, -size)

    def _count_waiting(self, source: Connection, size: int) -> None:
        source.hold(size)
        stats = self.shared.stats
        stats.queued += size
        stats.queued_most = max(stats.queued_most, stats.queued)

    def _flush(self) -> bool:
        sent = 0
        while self.blocked and not self.is_paused:
            before = sent
            for stream in list(self.blocked.values()):
                sent += self._flush_stream(stream)
                if self.tx <= 0:
                    return False
                if sent >= _FLUSH_BYTES:
                    return True
            if sent == before:
                break
        return False

    def _flush_stream(self, stream: Stream) -> int:
        """Send what one stream's windows allow, a few frames at most; give the bytes, at least 1 for anything."""
        queue, sent = stream.queue, 0
        if queue is None:
            return 0
        while queue and sent < _QUANTUM:
            waiting = queue[0]
            size = len(waiting.payload)
            if waiting.is_headers:
                queue.popleft()
                stream.queue = queue or None
                self._write_headers(stream, bytes(waiting.payload), end=waiting.end)
                sent += 1
                continue
            room = max(0, min(stream.tx, self.tx, MAX_FRAME_BYTES))  # an empty frame needs none
            if not room and size:
                break
            # A frame that does not fit is cut: a window smaller than a frame must not stop it for ever.
            part = waiting.payload if size <= room else waiting.payload[:room]
            is_last = size <= room
            self._send_waiting(stream, waiting, part, is_last=is_last)
            if is_last:
                queue.popleft()
            sent += len(part) or 1
            if is_last and waiting.end:
                stream.queue = queue or None
                self._told(stream)
        if not queue:
            stream.queue = None
            self.blocked.pop(stream.id, None)
        else:  # to the end of the line
            self.blocked[stream.id] = self.blocked.pop(stream.id, stream)
        return sent

    def _send_waiting(self, stream: Stream, waiting: Waiting, part: bytes | bytearray, *, is_last: bool) -> None:
        size = len(part)
        stream.tx -= size
        self.tx -= size
        stream.progress = self.shared.clock()
        self.write(HEAD.pack(size << 8, is_last and waiting.end, stream.id) + part)
        self._wait(stream, -size)
        if not is_last:
            waiting.payload = waiting.payload[size:]
        # What was sent before already is at the front: credit belongs to the end of the bytes.
        credit = waiting.credit if is_last else max(0, waiting.credit - len(waiting.payload))
        waiting.credit -= credit
        if credit and stream.peer is not None:
            stream.peer.connection.consumed(stream.peer, credit)

    def drop_queue(self, stream: Stream) -> int:
        """Forget what waits to be sent to a stream; give the bytes that its peer was not given back yet."""
        uncredited = sum(waiting.credit for waiting in stream.queue or ())
        if stream.queued:
            self._wait(stream, -stream.queued)
        stream.queue = None
        self.blocked.pop(stream.id, None)
        return uncredited

    def reset(self, stream: Stream, code: int) -> None:
        """End a stream at once."""
        if self.forget(stream):
            self._let_go.append(stream.id)
            self.write(frames.reset(stream.id, code))

    def forget(self, stream: Stream) -> bool:
        """Let go of a stream; tell whether there was one."""
        self.drop_queue(stream)
        return self._remove(stream)

    def _remove(self, stream: Stream) -> bool:
        if self.streams.pop(stream.id, None) is None:
            return False
        self._extra -= max(0, stream.window - WINDOW)
        return True

    def ping(self) -> None:
        """Ask for a sign of life."""
        self.write(frames.frame(frames.PING, 0, 0, b"automesh"))

    def announce_end(self) -> None:
        """Ask the peer for no new streams (GOAWAY, first step); its answer to the PING says that it has heard."""
        self.write(frames.goaway(frames.MAX_STREAM_ID, ErrorCode.NO_ERROR, "this worker stops"))
        self.ping()

    def refuse_new(self) -> None:
        """Tell the peer which of its streams are the last that are served (GOAWAY, second step)."""
        self.refuse_above = self.last_id
        self.write(frames.goaway(self.last_id, ErrorCode.NO_ERROR, "this worker stops"))

    def fail(self, code: ErrorCode, text: str) -> None:
        """End the connection for a fault of the peer."""
        if not self.is_failed:
            self.is_failed = True
            self.write(frames.goaway(self.last_id, code, text))
            self.shared.stats.hit(f"goaway_{code.name.lower()}")

    # Windows

    def consumed(self, stream: Stream, size: int) -> None:
        """Note that so many bytes that came from a stream have gone on; allow as many to come in steps."""
        stream.owed += size
        if stream.owed >= stream.step:
            self._credit(stream)

    def _credit(self, stream: Stream) -> None:
        target = stream.peer.connection if stream.peer is not None else None
        if target is not None and target.is_paused:
            target.withheld.add(stream)
            return
        if stream.window < WINDOW:
            stream.owed += WINDOW - stream.window
            stream.window = WINDOW
        else:
            self._grow(stream)
        stream.step = stream.window >> 1
        self._grant(stream)

    def _grow(self, stream: Stream) -> None:
        """Double the window of a large stream, or of one that is held up by a long round trip.

        Only so many bytes of window beyond the usual may be out on a connection: what its streams can have waiting
        here, should their receivers stop, is to stay below what holds up the connection itself.
        """
        if stream.window >= MOST_WINDOW or (stream.peer is not None and stream.peer.queue is not None):
            return
        rtt = self.measure_rtt()
        if rtt > _LONG_RTT_SECONDS:
            now = self.shared.clock()
            grows = now - stream.last_grant < 2 * rtt
            stream.last_grant = now
        else:
            grows = stream.received >= BULK_BYTES and stream.window < BULK_WINDOW
        if grows and self._extra + stream.window <= _EXTRA_WINDOW:
            self._extra += stream.window
            stream.owed += stream.window
            stream.window *= 2

    def _grant(self, stream: Stream) -> None:
        if stream.owed and not stream.has_ended and stream.id in self.streams:
            stream.rx += stream.owed
            stream.granted += stream.owed
            self.write(frames.window_update(stream.id, stream.owed))
            stream.owed = 0

    def _grant_connection(self) -> None:
        """Let the peer send more: what came, less what would make what is held here more than it may be."""
        room = self.shared.limits.connection_queue_bytes + CONNECTION_WINDOW - self.held - self.rx
        grant = min(self._owed, room)
        self._withholds = grant < self._owed
        if grant >= (_LEAST_GRANT if self._withholds else _CONNECTION_GRANT):
            self._owed -= grant
            self.rx += grant
            self.write(frames.window_update(0, grant))

    # What is read

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer."""
        buffer = bytearray(self.rest + data)
        self.receive_into(buffer, memoryview(buffer), len(buffer))

    def receive_into(self, buffer: bytearray, view: memoryview, size: int) -> None:
        """Take bytes from the peer that lie in a buffer.

        Stream ids are written over in the buffer, and slices of it are put into outboxes: it may be used again when
        these have been written.

        Args:
            buffer: begins with `rest`, what was left over before.
            view: of the whole buffer.
            size: bytes in it that count.
        """
        self.rest = b""
        if self.is_failed:
            return
        at = self._skip_preface(buffer, size) if self._preface_left else 0
        if at < 0:
            return
        at = self._read_frames(buffer, view, at, size)
        if at < size and not self.is_failed:
            self.rest = bytes(view[at:size])
        if self._may_resume:
            self._may_resume = False
            self.resume()
        if self._owed >= _CONNECTION_GRANT and not self._withholds:
            self._grant_connection()

    def _skip_preface(self, buffer: bytearray, size: int) -> int:
        """Give where frames begin, -1 when they do not yet."""
        wanted = self._preface_left
        came = bytes(buffer[: min(len(wanted), size)])
        if not wanted.startswith(came):
            self._refuse_stranger(came)
            return -1
        self._preface_left = wanted[len(came) :]
        if self._preface_left:
            return -1
        self._begin()
        return len(came)

    def _refuse_stranger(self, came: bytes) -> None:
        """End a connection that does not speak HTTP/2; a person with a browser is told so."""
        self.shared.stats.hit("not_http2")
        self.is_failed = True
        self.write(_PLAIN_ANSWER if came[:1].isalpha() else b"")

    def _read_frames(self, buffer: bytearray, view: memoryview, at: int, size: int) -> int:  # noqa: PLR0912, PLR0915 - hot
        """Read all frames that are whole; give where the first that is not begins."""
        streams, unpack = self.streams, HEAD.unpack_from
        most_flags = frames.END_STREAM if self.is_server else 0  # servers end with trailers; others are looked at
        run_to: Connection | None = None
        run_from = count = 0
        while size - at >= frames.HEAD_BYTES:
            word, flags, stream_id = unpack(buffer, at)
            length = word >> 8
            end = at + 9 + length
            if end > size:
                if length > MAX_FRAME_BYTES:
                    self.fail(ErrorCode.FRAME_SIZE_ERROR, "a frame of more than 16,384 bytes")
                break
            count += 1
            # DATA without padding, of a stream that goes straight on, where all windows allow it
            if not word & 0xFF and flags <= most_flags and 0 < word <= _LONGEST_DATA and self._block is None:
                stream = streams.get(stream_id)
                if stream is not None and stream.is_fast and length <= stream.rx and length <= self.rx:
                    peer = stream.peer
                    if peer is not None and peer.queue is None and length <= peer.tx:
                        target = peer.connection
                        if length <= target.tx:
                            stream.rx -= length
                            self.rx -= length
                            self._owed += length
                            peer.tx -= length
                            target.tx -= length
                            if target is not run_to:
                                if run_to is not None:
                                    run_to.write(view[run_from:at])
                                run_to, run_from = target, at
                            _PACK_ID(buffer, at + 5, peer.id)
                            at = end
                            stream.owed += length
                            if target.is_paused:
                                target.count_unsent(self, length)
                            if stream.owed >= stream.step:
                                self._credit(stream)
                            if flags:
                                target.write(view[run_from:at])
                                run_to = None
                                self._ended(stream)
                                target._told(peer)  # noqa: SLF001 - of the same class
                            continue
            if run_to is not None:
                run_to.write(view[run_from:at])
                run_to = None
            at = end
            self._frame(word & 0xFF, flags, stream_id & _ID_MASK, bytes(view[end - length : end]))
            if self.is_failed:
                break
        if run_to is not None:
            run_to.write(view[run_from:at])
        self.shared.stats.frames += count
        return at

    def _frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """Take one frame, the slow way."""
        if len(payload) > MAX_FRAME_BYTES:
            self.fail(ErrorCode.FRAME_SIZE_ERROR, "a frame of more than 16,384 bytes")
        elif self._block is not None and (kind != frames.CONTINUATION or stream_id != self._block.stream_id):
            self.fail(ErrorCode.PROTOCOL_ERROR, "a header block interrupted by another frame")
        elif not self.is_settled and kind != frames.SETTINGS:
            self.fail(ErrorCode.PROTOCOL_ERROR, "the first frame must be SETTINGS")
        elif len(payload) != _FIXED_SIZES.get(kind, len(payload)):
            self.fail(ErrorCode.FRAME_SIZE_ERROR, "a frame of the wrong size for its type")
        else:
            take = self._TAKES.get(kind)
            if take is not None:
                take(self, flags, stream_id, payload)
            else:
                self.count_control()

    def count_control(self) -> None:
        """Count a frame that does nothing for a call."""
        if self._control.is_exceeded(self.shared.clock()):
            self.shared.stats.hit("control_frames")
            self.fail(ErrorCode.ENHANCE_YOUR_CALM, "too many control or empty frames")

    def _is_idle(self, stream_id: int) -> bool:
        """Tell whether a stream never began."""
        if self.is_server:
            return stream_id > self.last_id or not stream_id & 1
        return stream_id >= self._next_id or not stream_id & 1

    def _unpadded(self, flags: int, payload: bytes) -> bytes | None:
        if not flags & frames.PADDED:
            return payload
        if not payload or payload[0] >= len(payload):
            self.fail(ErrorCode.PROTOCOL_ERROR, "padding as long as the frame")
            return None
        return payload[1 : len(payload) - payload[0]]

    def _take_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        data = self._unpadded(flags, payload)
        if data is None:
            return
        if not stream_id or self._is_idle(stream_id):
            self.fail(ErrorCode.PROTOCOL_ERROR, "DATA on a stream that is not open")
            return
        if size > self.rx:
            self.fail(ErrorCode.FLOW_CONTROL_ERROR, "more data than the connection's window allows")
            return
        self.rx -= size
        self._owed += size
        end = bool(flags & frames.END_STREAM)
        if not data and not end:
            self.count_control()
        stream = self.streams.get(stream_id)
        if stream is None:  # of a stream that was reset: what was under way
            return
        if stream.has_ended:
            self._break(stream, ErrorCode.STREAM_CLOSED)
        elif size > stream.rx:
            self._break(stream, ErrorCode.FLOW_CONTROL_ERROR)
        elif not self._is_as_long_as_said(stream, len(data), end=end):
            self._break(stream, ErrorCode.PROTOCOL_ERROR)
        else:
            stream.rx -= size
            self._pass_data(stream, data, size - len(data), end=end)

    def _is_as_long_as_said(self, stream: Stream, size: int, *, end: bool) -> bool:
        """Tell whether the data still fit a content-length."""
        if stream.expected is None:
            return True
        stream.expected -= size
        return stream.expected >= 0 and (not end or stream.expected == 0)

    def _pass_data(self, stream: Stream, data: bytes, padding: int, *, end: bool) -> None:
        if end:
            stream.has_ended = True
        if stream.is_discarding:
            self.consumed(stream, len(data) + padding)
        else:
            if padding:
                self.consumed(stream, padding)
            if stream.is_fast and stream.peer is not None and (self.is_server or not end):
                stream.peer.connection.send_data(stream.peer, data, len(data), end=end)
            elif data or end:
                self.events.on_data(stream, data, end=end)
        if end:
            self._ended(stream)

    def _break(self, stream: Stream, code: ErrorCode) -> None:
        """End a stream for a fault of the peer."""
        self.shared.stats.hit(f"reset_{code.name.lower()}")
        self.reset(stream, code)
        self.events.on_reset(stream, code)

    def _ended(self, stream: Stream) -> None:
        """Note that a stream's peer has said its last."""
        stream.has_ended = True
        stream.is_fast = False
        if stream.is_told:
            self._done(stream)

    def _told(self, stream: Stream) -> None:
        """Note that a stream's peer was told the last."""
        stream.is_told = stream.is_ending = True
        if stream.has_ended:
            self._done(stream)

    def _done(self, stream: Stream) -> None:
        if self._remove(stream):
            self.events.on_done(stream)

    def _take_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        data = self._unpadded(flags, payload)
        if data is None:
            return
        if flags & frames.WITH_PRIORITY:
            if len(data) < 5:
                self.fail(ErrorCode.FRAME_SIZE_ERROR, "HEADERS too short for their priority")
                return
            data = data[5:]
        if not stream_id or (self.is_server and not stream_id & 1) or (not self.is_server and self._is_idle(stream_id)):
            self.fail(ErrorCode.PROTOCOL_ERROR, "HEADERS on a stream that cannot be")
            return
        self._block = _Block(stream_id, data, end=bool(flags & frames.END_STREAM))
        if flags & frames.END_HEADERS:
            self._take_block()

    def _take_continuation(self, flags: int, _stream_id: int, payload: bytes) -> None:
        block = self._block
        if block is None:
            self.fail(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
            return
        block.data += payload
        block.continuations += 1
        limits = self.shared.limits
        if block.continuations > limits.continuations or len(block.data) > 2 * limits.header_list_bytes:
            self.shared.stats.hit("continuations")
            self.fail(ErrorCode.ENHANCE_YOUR_CALM, "a header block in too many pieces")
        elif flags & frames.END_HEADERS:
            self._take_block()

    def _take_block(self) -> None:
        block, self._block = self._block, None
        if block is None:
            return
        try:
            fields = self._reader.read(block.data)
        except CompressionError as error:
            self.fail(ErrorCode.COMPRESSION_ERROR, str(error))
            return
        except HeaderListTooLarge:
            self.shared.stats.hit("header_list_bytes")
            if self._reader.has_table:
                self.fail(ErrorCode.ENHANCE_YOUR_CALM, "a header list of more than was announced")
                return
            fields = None
        stream = self.streams.get(block.stream_id)
        if stream is None:
            self._take_first_block(block, fields)
        elif stream.has_ended:
            self._break(stream, ErrorCode.STREAM_CLOSED)
        elif self.is_server and not block.end:
            self._break(stream, ErrorCode.PROTOCOL_ERROR)
        else:
            self._tell_headers(stream, fields, end=block.end)

    def _take_first_block(self, block: _Block, fields: FieldList | None) -> None:
        stream_id = block.stream_id
        if not self.is_server:  # of a stream that was reset: what was under way
            return
        if stream_id <= self.last_id:
            if stream_id in self._let_go:  # it was under way when its stream was reset
                self.count_control()
            else:
                self.fail(ErrorCode.STREAM_CLOSED, "HEADERS on a stream that has ended")
            return
        self.last_id = stream_id
        if stream_id > self.refuse_above or len(self.streams) >= self.shared.limits.streams:
            if stream_id <= self.refuse_above:
                self.shared.stats.hit("streams")
            self.write(frames.reset(stream_id, ErrorCode.REFUSED_STREAM))
            self.count_control()
            return
        stream = self.streams[stream_id] = Stream(self, stream_id, self.peer_window)
        self._tell_headers(stream, fields, end=block.end)

    def _tell_headers(self, stream: Stream, fields: FieldList | None, *, end: bool) -> None:
        if end:
            stream.has_ended = True
            if stream.expected:
                self._break(stream, ErrorCode.PROTOCOL_ERROR)
                return
        self.events.on_headers(stream, fields, end=end)
        if end:
            self._ended(stream)

    def _take_priority(self, _flags: int, stream_id: int, _payload: bytes) -> None:
        if not stream_id:
            self.fail(ErrorCode.PROTOCOL_ERROR, "PRIORITY on the connection")
        else:
            self.count_control()

    def _take_reset(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if not stream_id or self._is_idle(stream_id):
            self.fail(ErrorCode.PROTOCOL_ERROR, "RST_STREAM on a stream that is not open")
            return
        stream = self.streams.get(stream_id)
        if stream is None:
            self.count_control()
            return
        self.forget(stream)
        self.events.on_reset(stream, int.from_bytes(payload, "big"))

    def _take_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            self.fail(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        elif flags & frames.ACK:
            if payload:
                self.fail(ErrorCode.FRAME_SIZE_ERROR, "an acknowledgement with settings")
            else:
                self._reader.table_is_gone()
                self.count_control()
        elif len(payload) % 6:
            self.fail(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of a wrong size")
        else:
            self.is_settled = True
            # Before any data that uses a new window: grpc-core checks against settings that were acknowledged.
            self.write(frames.frame(frames.SETTINGS, frames.ACK, 0))
            self.count_control()
            said = frames.parse_settings(payload)
            for key, value in said:
                self._check_setting(key, value)
            window = dict(said).get(frames.INITIAL_WINDOW_SIZE)
            if window is not None and not self.is_failed:  # a thousand windows in one frame count as one
                self._change_windows(window)

    def _check_setting(self, key: int, value: int) -> None:
        if key == frames.INITIAL_WINDOW_SIZE and value > MAX_WINDOW:
            self.fail(ErrorCode.FLOW_CONTROL_ERROR, "a window beyond the largest")
        elif key == frames.MAX_FRAME_SIZE and not MAX_FRAME_BYTES <= value < 1 << 24:
            self.fail(ErrorCode.PROTOCOL_ERROR, "a frame size out of range")
        elif key == frames.ENABLE_PUSH and (value > 1 or (value and not self.is_server)):
            self.fail(ErrorCode.PROTOCOL_ERROR, "a push setting out of range")
        elif key == frames.MAX_CONCURRENT_STREAMS:
            self.peer_streams = value

    def _change_windows(self, value: int) -> None:
        change = value - self.peer_window
        self.peer_window = value
        for stream in self.streams.values():
            stream.tx += change
            if stream.tx > MAX_WINDOW:
                self.fail(ErrorCode.FLOW_CONTROL_ERROR, "a window beyond the largest")
        if change > 0:
            self._may_resume = True

    def _take_push(self, _flags: int, _stream_id: int, _payload: bytes) -> None:
        self.fail(ErrorCode.PROTOCOL_ERROR, "nobody asked for a push")

    def _take_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            self.fail(ErrorCode.PROTOCOL_ERROR, "PING on a stream")
            return
        self.count_control()
        if flags & frames.ACK:
            self.events.on_ping_answered(self)
        else:
            self.write(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _take_goaway(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            self.fail(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream")
        elif len(payload) < 8:
            self.fail(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY too short")
        else:
            self.count_control()
            self.events.on_goaway(self, int.from_bytes(payload[:4], "big") & _ID_MASK)

    def _take_window_update(self, _flags: int, stream_id: int, payload: bytes) -> None:
        increment = int.from_bytes(payload, "big") & _ID_MASK
        if not stream_id:
            if not increment or self.tx + increment > MAX_WINDOW:
                code = ErrorCode.FLOW_CONTROL_ERROR if increment else ErrorCode.PROTOCOL_ERROR
                self.fail(code, "a window update out of range")
                return
            self.tx += increment
            self._may_resume = True  # once for all that was read
            return
        if self._is_idle(stream_id):
            self.fail(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE on a stream that is not open")
            return
        stream = self.streams.get(stream_id)
        if stream is None:
            return
        if not increment or stream.tx + increment > MAX_WINDOW:
            self._break(stream, ErrorCode.FLOW_CONTROL_ERROR if increment else ErrorCode.PROTOCOL_ERROR)
            return
        stream.tx += increment
        if stream.queue is not None and not self.is_paused:
            sent = 0
            while sent < _FLUSH_BYTES and (more := self._flush_stream(stream)):
                sent += more
            self.has_more = self.has_more or sent >= _FLUSH_BYTES

    _TAKES: Final = {
        frames.DATA: _take_data,
        frames.HEADERS: _take_headers,
        frames.PRIORITY: _take_priority,
        frames.RST_STREAM: _take_reset,
        frames.SETTINGS: _take_settings,
        frames.PUSH_PROMISE: _take_push,
        frames.PING: _take_ping,
        frames.GOAWAY: _take_goaway,
        frames.WINDOW_UPDATE: _take_window_update,
        frames.CONTINUATION: _take_continuation,
    }


class _Block:
    """A header block of which not all has come."""

    __slots__ = ("continuations", "data", "end", "stream_id")

    def __init__(self, stream_id: int, data: bytes, *, end: bool) -> None:
        self.stream_id = stream_id
        self.data = data
        self.end = end
        self.continuations = 0
