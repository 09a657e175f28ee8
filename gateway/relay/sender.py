"""What goes out on a connection: frames in order, data as windows allow, and credit for what has gone on.

Both flow-control windows end here: what comes in is acknowledged when it has been handed on, so that a slow receiver
slows its own sender down and nobody else's.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from gateway.relay import frames
from gateway.relay.frames import HEAD, MAX_FRAME_BYTES, ErrorCode
from gateway.relay.headers import NO_TABLE
from gateway.relay.limits import Meter
from gateway.relay.stream import BULK_BYTES, BULK_WINDOW, MOST_WINDOW, WINDOW, Stream, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.relay.shared import Events, Shared

CONNECTION_WINDOW: Final = 4 * 1024 * 1024
CONNECTION_GRANT: Final = CONNECTION_WINDOW // 4
FLUSH_BYTES: Final = 256 * 1024
_EXTRA_WINDOW: Final = 4 * 1024 * 1024
_LEAST_GRANT: Final = 64 * 1024
_QUANTUM: Final = 4 * MAX_FRAME_BYTES
_LONG_RTT_SECONDS: Final = 0.002


class Sender:
    """The sending half of a connection, at whose other end is a client (`is_server`) or a server.

    Attributes:
        outbox: bytes to be written, in order.
        is_paused: the transport's buffer is full: what is written still goes there, and its senders get no window.
        withheld: ends of calls that get window when it is not full any more.
        has_begun: the preface has been sent.
        is_failed: a GOAWAY with a fault was sent; nothing more is read, and nothing more written.
        has_more: a flush stopped although more could go.
        held: bytes that came here and wait to be sent elsewhere.
        owed: bytes that came and are not yet allowed to come again.
        withholds: less is allowed to come again than came, since too much is held.
        last_id: the last stream that the peer has begun.
        refuse_above: later streams are refused.
        resets: counts streams that the peer has ended before they were answered.
        measure_rtt: gives the round-trip time in seconds, 0 when unknown.
    """

    def __init__(self, shared: Shared, events: Events, *, is_server: bool) -> None:
        self.shared = shared
        self.events = events
        self.is_server = is_server
        self.streams: dict[int, Stream] = {}
        self.outbox: list[bytes | memoryview] = []
        self.tx = frames.DEFAULT_WINDOW
        self.rx: int = CONNECTION_WINDOW
        self.held = 0
        self.is_paused = False
        self.has_begun = False
        self.is_failed = False
        self.has_more = False
        self.peer_window = frames.DEFAULT_WINDOW
        self.measure_rtt: Callable[[], float] = lambda: 0.0
        self.blocked: dict[int, Stream] = {}
        self.withheld: set[Stream] = set()
        self.owed: int = 0
        self.withholds = False
        self._unsent: dict[Sender, int] = {}
        self._extra = 0
        self._has_sent_headers = False
        self.last_id = 0
        self.refuse_above = frames.MAX_STREAM_ID
        self.resets = Meter(shared.limits.resets, shared.limits.resets_seconds)
        self._control = Meter(shared.limits.control_frames, shared.limits.control_seconds)
        self._next_id = 1
        self._let_go: deque[int] = deque(maxlen=1000)

    def write(self, data: bytes | memoryview) -> None:
        """Put bytes behind those that are to be written already; after the last GOAWAY there are no more."""
        if self.is_failed:
            return
        if not self.outbox:
            self.shared.dirty.append(self)
        self.outbox.append(data)

    def begin(self) -> None:
        """Send the preface, once: nothing may go before it, the end of a connection that has hardly begun included."""
        if self.has_begun:
            return
        self.has_begun = True
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
        if self.withholds and size < 0:
            self._grant_connection()

    def resume(self) -> None:
        """Send what waits, stream by stream in turn; the driver writes it and asks again where there is more."""
        self.has_more = self._flush()

    def count_unsent(self, source: Sender, size: int) -> None:
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

    def _count_waiting(self, source: Sender, size: int) -> None:
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
                if sent >= FLUSH_BYTES:
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

    # What is said of the connection

    def ping(self) -> None:
        """Ask for a sign of life."""
        self.write(frames.frame(frames.PING, 0, 0, b"automesh"))

    def announce_end(self) -> None:
        """Ask the peer for no new streams (GOAWAY, first step); its answer to the PING says that it has heard."""
        self.begin()
        self.write(frames.goaway(frames.MAX_STREAM_ID, ErrorCode.NO_ERROR, "this worker stops"))
        self.ping()

    def refuse_new(self) -> None:
        """Tell the peer which of its streams are the last that are served (GOAWAY, second step)."""
        self.refuse_above = self.last_id
        self.begin()
        self.write(frames.goaway(self.last_id, ErrorCode.NO_ERROR, "this worker stops"))

    def fail(self, code: ErrorCode, text: str) -> None:
        """End the connection for a fault of the peer."""
        if not self.is_failed:
            self.begin()
            self.write(frames.goaway(self.last_id, code, text))
            self.is_failed = True
            self.shared.stats.hit(f"goaway_{code.name.lower()}")

    def count_control(self) -> None:
        """Count a frame that does nothing for a call."""
        if self._control.is_exceeded(self.shared.clock()):
            self.shared.stats.hit("control_frames")
            self.fail(ErrorCode.ENHANCE_YOUR_CALM, "too many control or empty frames")

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
        grant = min(self.owed, room)
        self.withholds = grant < self.owed
        if grant >= (_LEAST_GRANT if self.withholds else CONNECTION_GRANT):
            self.owed -= grant
            self.rx += grant
            self.write(frames.window_update(0, grant))

    # Ends

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
