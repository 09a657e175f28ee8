"""The core of the relay: one HTTP/2 connection as a machine that takes bytes and gives bytes and events.

It knows no sockets, no gRPC and no routing.

A DATA frame of a stream that has a peer goes straight on: its stream id is written over where it lies, and the run of
frames that go the same way is handed on as one slice. Everything else takes the slow road through `_frame`.

Attention: nothing in `receive` may be awaited or raise; a fault of the peer ends in `fail`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from gateway.relay import frames
from gateway.relay.frames import HEAD, MAX_FRAME_BYTES, MAX_WINDOW, ErrorCode
from gateway.relay.headers import CompressionError, HeaderListTooLarge, HeaderReader
from gateway.relay.sender import CONNECTION_GRANT, FLUSH_BYTES, Sender
from gateway.relay.stream import Stream

if TYPE_CHECKING:
    from gateway.relay.headers import FieldList
    from gateway.relay.shared import Events, Shared

_PACK_ID: Final = struct.Struct("!I").pack_into
_LONGEST_DATA: Final = MAX_FRAME_BYTES << 8
_FULL: Final = frames.HEAD_BYTES + MAX_FRAME_BYTES
_ID_MASK: Final = 0x7FFFFFFF
_PLAIN_TEXT: Final = b"This port speaks gRPC: HTTP/2 with prior knowledge.\n"
_PLAIN_ANSWER: Final = (
    b"HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-type: text/plain\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_PLAIN_TEXT), _PLAIN_TEXT)
)
_FIXED_SIZES: Final = {frames.PRIORITY: 5, frames.RST_STREAM: 4, frames.PING: 8, frames.WINDOW_UPDATE: 4}


class Connection(Sender):
    """One connection: what comes in, on top of what goes out.

    Attributes:
        rest: what came of a frame that is not whole.
        is_settled: the peer's SETTINGS have come.
        peer_streams: streams that the peer allows at once, None while it has not said.
    """

    def __init__(self, shared: Shared, events: Events, *, is_server: bool) -> None:
        super().__init__(shared, events, is_server=is_server)
        self.rest = b""
        self.is_settled = False
        self.peer_streams: int | None = None
        self._may_resume = False
        self._preface_left = frames.PREFACE if is_server else b""
        self._block: _Block | None = None
        self._reader = HeaderReader(shared.cache, shared.limits.header_list_bytes, repeats=not is_server)
        if not is_server:
            self.begin()

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
        if self.owed >= CONNECTION_GRANT and not self.withholds:
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
        self.begin()
        return len(came)

    def _refuse_stranger(self, came: bytes) -> None:
        """End a connection that does not speak HTTP/2; a person with a browser is told so."""
        self.shared.stats.hit("not_http2")
        self.write(_PLAIN_ANSWER if came[:1].isalpha() else b"")
        self.is_failed = True

    def _read_frames(self, buffer: bytearray, view: memoryview, at: int, size: int) -> int:  # noqa: PLR0912, PLR0915 - hot
        """Read all frames that are whole; give where the first that is not begins."""
        streams, unpack = self.streams, HEAD.unpack_from
        most_flags = frames.END_STREAM if self.is_server else 0  # servers end with trailers; others are looked at
        run_to: Sender | None = None
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
                            if target is not run_to:
                                if run_to is not None:
                                    run_to.write(view[run_from:at])
                                run_to, run_from = target, at
                            taken = length
                            if length == MAX_FRAME_BYTES and not flags:  # more of a large message: frames all alike
                                head = buffer[at : at + 9]
                                room = min(stream.rx, self.rx, peer.tx, target.tx)
                                while buffer.startswith(head, end) and end + _FULL <= size and taken + length <= room:
                                    _PACK_ID(buffer, end + 5, peer.id)
                                    taken += length
                                    end += _FULL
                            stream.rx -= taken
                            self.rx -= taken
                            self.owed += taken
                            peer.tx -= taken
                            target.tx -= taken
                            _PACK_ID(buffer, at + 5, peer.id)
                            count += (taken - length) // MAX_FRAME_BYTES
                            at = end
                            stream.owed += taken
                            if target.is_paused:
                                target.count_unsent(self, taken)
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
        self.owed += size
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
            while sent < FLUSH_BYTES and (more := self._flush_stream(stream)):
                sent += more
            self.has_more = self.has_more or sent >= FLUSH_BYTES

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
