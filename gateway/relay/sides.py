"""What comes from clients, and what comes from the servers behind, told to the calls it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from gateway.relay.frames import ErrorCode
from gateway.relay.heads import AnswerHead, MalformedError, read_answer
from gateway.relay.retry import Failure
from gateway.relay.status import NO_ADVICE, advice_of

if TYPE_CHECKING:
    from gateway.relay.call import Call
    from gateway.relay.calls import Calls
    from gateway.relay.connection import Connection
    from gateway.relay.headers import FieldList
    from gateway.relay.leases import Leases, Session, Upstream
    from gateway.relay.shared import Shared
    from gateway.relay.stream import Stream

_INFORMATIONAL = range(100, 200)


class ClientSide:
    """Hears one client connection."""

    def __init__(self, calls: Calls, shared: Shared, drained: set[Session]) -> None:
        self._calls = calls
        self._shared = shared
        self._drained = drained
        self.session: Session

    def on_headers(self, stream: Stream, fields: FieldList | None, *, end: bool) -> None:
        """Take a new call, or the end of a request."""
        if stream.call is None:
            self._calls.begin(stream, self.session, fields, end=end)
        else:  # gRPC has no trailers from clients: only the end counts
            self._take(stream.call, b"", end=end)

    def on_data(self, stream: Stream, payload: bytes, *, end: bool) -> None:
        """Take data of a request that does not go straight on."""
        if stream.call is not None:
            self._take(stream.call, payload, end=end)

    def _take(self, call: Call, payload: bytes, *, end: bool) -> None:
        if call.local is not None:
            call.local.take(payload, end=end)
            return
        self._calls.keep(call, payload, end=end)
        server = call.server
        if server is not None:
            server.connection.send_data(server, payload, len(payload), end=end)
        elif call.first is not None:
            self._calls.read_target(call, payload, end=end)

    def on_reset(self, stream: Stream, code: int) -> None:  # noqa: ARG002 - whatever the client's reason
        """Stop the work that a client does not want any more."""
        call: Call | None = stream.call
        if call is None:
            return
        connection = stream.connection
        if stream.is_told:
            connection.count_control()
        elif call.encoding is None and connection.resets.is_exceeded(self._shared.clock()):
            self._shared.stats.hit("resets")
            connection.fail(ErrorCode.ENHANCE_YOUR_CALM, "too many calls cancelled before their answers")
        self._calls.cancelled(call)

    def on_done(self, stream: Stream) -> None:
        """Tidy up after a call, when what it said has been written."""
        if stream.call is not None:
            self._calls.ended.append(stream.call)

    def on_goaway(self, connection: Connection, last_id: int) -> None:
        """A client that goes has no calls to begin."""

    def on_ping_answered(self, connection: Connection) -> None:
        """Go on with the drain: the client has seen that no new calls are wanted."""
        if self.session in self._drained:
            self._drained.discard(self.session)
            connection.refuse_new()


class ServerSide:
    """Hears all connections to servers behind."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.leases: Leases

    def on_headers(self, stream: Stream, fields: FieldList | None, *, end: bool) -> None:
        """Take the head of an answer, or trailers."""
        call: Call = stream.call
        head = _read(call, fields, end=end)
        if head is None:
            self._calls.failed(call, stream, Failure.BROKEN)
        elif head.http_status in _INFORMATIONAL and not end:
            pass
        elif end:
            self._calls.trailed(call, stream, head, advice_of(head.details) if head.code else NO_ADVICE)
        else:
            self._calls.answered(call, stream, head)

    def on_data(self, stream: Stream, payload: bytes, *, end: bool) -> None:
        """Take data of an answer: its first, or what does not go straight on for another reason."""
        call: Call = stream.call
        if call.encoding is None:
            self._calls.failed(call, stream, Failure.BROKEN)
            return
        if payload and not call.is_committed:
            self._calls.commit(call, stream)
        call.client.connection.send_data(call.client, payload, len(payload), end=False)
        if end:  # without trailers nobody knows how the call went
            self._calls.failed(call, stream, Failure.BROKEN)

    def on_reset(self, stream: Stream, code: int) -> None:
        """Send the call elsewhere, or end it."""
        call: Call = stream.call
        if call.server is stream:
            failure = Failure.REFUSED if code == ErrorCode.REFUSED_STREAM else Failure.LOST
            if failure is Failure.REFUSED:
                cast("Upstream", stream.connection).is_full_at()
            self._calls.failed(call, stream, failure)
        else:
            self._calls.server_is_free(stream)

    def on_done(self, stream: Stream) -> None:
        """Free the connection for another call."""
        call: Call = stream.call
        if call.server is stream:
            call.server = None
            call.bytes_out += stream.received
        self._calls.server_is_free(stream)

    def on_goaway(self, connection: Connection, last_id: int) -> None:
        """Send calls that the server has not looked at elsewhere; the others finish there."""
        self.leases.leaving(cast("Upstream", connection))
        for stream in [one for one in connection.streams.values() if one.id > last_id]:
            connection.forget(stream)
            self._calls.failed(stream.call, stream, Failure.GOAWAY)

    def on_ping_answered(self, connection: Connection) -> None:
        """Nobody asks servers."""

    def closed(self, upstream: Upstream) -> None:
        """Send the calls of a lost connection elsewhere, or end them."""
        self.leases.lost(upstream)
        for stream in list(upstream.streams.values()):
            call: Call = stream.call
            if call.server is stream:
                failure = Failure.LOST if stream.id <= upstream.written_id else Failure.CONNECT
                self._calls.failed(call, stream, failure)


def _read(call: Call, fields: FieldList | None, *, end: bool) -> AnswerHead | None:
    """Read a block from a server; None when it is malformed, too large, or out of place."""
    if fields is None or (call.is_committed and not end):
        return None
    try:
        head = read_answer(fields)
    except MalformedError:
        return None
    is_first = not end or call.encoding is None
    return None if is_first and not head.http_status else head
