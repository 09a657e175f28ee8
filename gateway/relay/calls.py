"""The life of a call: where it goes, where else when that fails, and how it ends.

A call can be sent elsewhere until the client has a byte of an answer, for as long as its request is kept. Initial
metadata is no answer: it says "send your chunks", and a second one is swallowed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, cast

from automarket.errors import (
    AutoMarketError,
    Code,
    DeadlineExceeded,
    ExhaustedError,
    InvalidRequestError,
    ProviderBusy,
    UnavailableError,
)
from gateway.relay.call import Call
from gateway.relay.choice import AllBusy, choose
from gateway.relay.destination import HEALTH, MODELS, Destination, fixed, is_followed
from gateway.relay.endings import Endings
from gateway.relay.first_message import FirstMessage
from gateway.relay.frames import ErrorCode
from gateway.relay.headers import block
from gateway.relay.heads import MalformedError, RequestHead, is_grpc, read_request, timeout_field
from gateway.relay.line import RETRY_SECONDS
from gateway.relay.metadata import target_from_metadata
from gateway.relay.resting import note_refusal
from gateway.relay.retry import Failure, may_replay
from gateway.relay.trace import span_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.relay.balance import Balance
    from gateway.relay.headers import FieldList
    from gateway.relay.heads import AnswerHead
    from gateway.relay.leases import Leases, Session, Upstream
    from gateway.relay.line import Lines
    from gateway.relay.local import Health
    from gateway.relay.retry import RetryBudget
    from gateway.relay.shared import Shared
    from gateway.relay.status import Advice
    from gateway.relay.stream import Stream
    from gateway.relay.table import Table

log = logging.getLogger("automarket.gateway")

_INSTANCE_AT_FAULT: Final = (Failure.CONNECT, Failure.LOST, Failure.UNAVAILABLE, Failure.BROKEN)
# The instance may take the call on another connection.
_ONLY_THE_CONNECTION: Final = (Failure.REFUSED, Failure.GOAWAY)
_MOST_CONNECTIONS: Final = 3
LATE: Final = "the deadline passed before the work was done"
# A server behind learns of a deadline a little before the client does, so that its own words arrive in time.
_MARGIN: Final = 0.02
_MOST_MARGIN_SECONDS: Final = 0.05
_POST: Final = b"POST"
_NOT_GRPC: Final = b"This port speaks gRPC: POST with content-type application/grpc.\n"


class Calls:
    """All calls of a worker.

    Args:
        table: gives the newest routing table.
        later: runs something after so many seconds.
        finished: hears of every call that is over.

    Attributes:
        ends: tells clients the ends of their calls.
        ended: calls to tidy up after, when what they said last has been written.
    """

    def __init__(
        self,
        shared: Shared,
        *,
        table: Callable[[], Table],
        balance: Balance,
        lines: Lines,
        budget: RetryBudget,
        health: Health,
        later: Callable[[float, Callable[[], None]], object],
        finished: Callable[[Call], None],
    ) -> None:
        self._shared = shared
        self._table = table
        self._balance = balance
        self._lines = lines
        self._budget = budget
        self._health = health
        self.ends = Endings(shared.clock, later, self.over)
        self._finished = finished
        self.leases: Leases  # set by the worker, which both need
        self.replays = 0
        self.ended: list[Call] = []

    # A call begins

    def begin(self, stream: Stream, session: Session, fields: FieldList | None, *, end: bool) -> None:
        """Take a new call."""
        now = self._shared.clock()
        try:
            head = RequestHead() if fields is None else read_request(fields, end=end)
        except MalformedError:
            self._shared.stats.hit("malformed")
            stream.connection.reset(stream, ErrorCode.PROTOCOL_ERROR)
            stream.connection.count_control()
            return
        stream.expected = head.content_length
        call = stream.call = Call(stream, session, head, span_of(head.trace), now)
        self._budget.deposit(now)
        if fields is None:
            self.ends.end_with(call, ExhaustedError("the metadata are larger than 16 KiB", hint="send less metadata"))
        elif head.method != _POST or not is_grpc(head.content_type):
            self._refuse_stranger(call)
        elif head.refusal:
            self.ends.end_with(call, InvalidRequestError(head.refusal))
        elif self._shared.stats.queued + self._shared.stats.kept > self._shared.limits.worker_queue_bytes:
            self._shared.stats.hit("worker_queue_bytes")
            self.ends.end_with(
                call, ExhaustedError("the gateway holds as much as it may", hint="try again", retry_after=1.0)
            )
        else:
            self._begin(call, end=end)

    def _begin(self, call: Call, *, end: bool) -> None:
        path = call.head.path
        if path.startswith(HEALTH):
            self._health.begin(call, self.ends, end=end)
        elif not path.startswith(MODELS) or is_followed(path, call.head.ours):
            self.attempt(call)
        else:
            self._find_target(call, end=end)

    def _find_target(self, call: Call, *, end: bool) -> None:
        try:
            call.target = target_from_metadata(call.head.ours)
        except AutoMarketError as error:
            self.ends.end_with(call, error)
            return
        if call.target is not None:
            self.attempt(call)
        else:
            call.first = FirstMessage(call.head.encoding)
            if end:
                self.read_target(call, b"", end=True)

    def _refuse_stranger(self, call: Call) -> None:
        """Answer a request that is not gRPC's, so that a person can read it."""
        client = call.client
        connection = client.connection
        head = block([(b":status", b"415"), (b"content-type", b"text/plain")])
        call.has_ended = True
        call.code = Code.INVALID_ARGUMENT
        client.is_discarding = True
        connection.send_headers(client, head, end=False)
        connection.send_data(client, _NOT_GRPC, 0, end=True)
        self.ends.wait_for_end(call)

    def read_target(self, call: Call, payload: bytes, *, end: bool) -> None:
        """Look for the target in the first message."""
        if call.first is None:
            return
        try:
            target = call.first.feed(payload)
            if target is None and end:
                target = call.first.finish()
        except AutoMarketError as error:
            self.ends.end_with(call, error)
            return
        if target is not None:
            call.first = None
            call.target = target
            self.attempt(call)

    # A call is sent

    def attempt(self, call: Call) -> None:
        """Send a call to where the routing table says."""
        call.ticket = None
        now = self._shared.clock()
        if call.deadline is not None and call.deadline <= now:
            self.ends.end_with(call, DeadlineExceeded(LATE))
            return
        try:
            destination = self._destination(call, now)
        except AllBusy as busy:
            self._join_line(call, busy.provider_ids[0])
            return
        except AutoMarketError as error:
            self._end_for_want_of_another(call, error)
            return
        upstream = self.leases.lease(call.session, destination.address)
        if upstream is None:
            self.ends.end_with(call, ExhaustedError("the gateway has as many connections as it may", retry_after=1.0))
            return
        call.destination = destination
        call.attempts += 1
        call.sent_at = now
        if destination.route is not None:
            call.tried.add(destination.route.instance_id)
            self._balance.begin(destination.route.instance_id)
            call.is_counted = True
        self._send(call, upstream.open_stream(self._request_block(call, destination, now), end=_is_whole(call)))

    def _end_for_want_of_another(self, call: Call, error: AutoMarketError) -> None:
        """End a call that nobody else can take: as the last server said, where it said anything."""
        if call.said is not None:
            call.code = call.said.code or Code.UNKNOWN
            self.ends.end(call, call.said.trailers if call.encoding is not None else call.said.wire, at_once=True)
        else:
            self.ends.end_with(call, call.destination.lost(begun=False) if call.destination is not None else error)

    def _destination(self, call: Call, now: float) -> Destination:
        table = self._table()
        if call.target is None:
            return fixed(table, call.head.path)
        if not table.control:
            raise UnavailableError("the gateway has just started", hint="try again", retry_after=0.5)
        route = choose(table, call.target, self._balance, frozenset(call.tried), now, refused=frozenset(call.refused))
        return Destination(route.address, f"provider {route.provider_id}", route)

    def _request_block(self, call: Call, destination: Destination, now: float) -> bytes:
        more = call.span.field() + destination.fields()
        if call.deadline is not None:
            left = call.deadline - now
            more += timeout_field(left - min(left * _MARGIN, _MOST_MARGIN_SECONDS))
        return call.head.passed + more

    @staticmethod
    def _send(call: Call, server: Stream) -> None:
        server.call = call
        server.peer = call.client
        call.server = call.client.peer = server
        if call.kept is not None:
            call.kept.send(server)

    def _join_line(self, call: Call, provider_id: str) -> None:
        if self._has_line(provider_id):
            busy = ProviderBusy(
                f"all places of provider {provider_id} are taken, and its line is full",
                hint="try again later, or let the mesh choose the provider",
                retry_after=RETRY_SECONDS,
                metadata={"provider": provider_id},
            )
            self.ends.end_with(call, busy)
            return
        try:
            call.ticket = self._lines.join(provider_id, lambda: self.attempt(call))
        except AutoMarketError as error:
            self.ends.end_with(call, error)

    def _has_line(self, provider_id: str) -> bool:
        """Tell whether a provider's servers have lines of their own, which tell how far they have moved."""
        found = (provider for provider in self._table().providers if provider.id == provider_id)
        return any(instance.max_queued for provider in found for instance in provider.instances)

    def keep(self, call: Call, payload: bytes, *, end: bool) -> None:
        """Keep data of a request while it can be sent elsewhere, and while it was not sent anywhere yet."""
        kept = call.kept
        if kept is None:
            return
        within = kept.add(payload, end=end)
        if call.server is None:
            kept.uncredited += len(payload)
        elif not within:
            call.drop_kept()

    # A call is answered

    def answered(self, call: Call, server: Stream, head: AnswerHead) -> None:
        """Take the head of an answer."""
        if call.encoding is None:
            call.encoding = head.encoding
            call.client.connection.send_headers(call.client, head.wire, end=False)
        elif head.encoding != call.encoding:  # sent elsewhere, to a server that compresses otherwise
            self.failed(call, server, Failure.OTHER)

    def commit(self, call: Call, server: Stream) -> None:
        """Note that the client gets the first data of an answer: from now on it all comes from this server."""
        call.is_committed = True
        call.answered_at = self._shared.clock()
        call.drop_kept()
        server.is_fast = True

    def trailed(self, call: Call, server: Stream, head: AnswerHead, advice: Advice) -> None:
        """Take the trailers of a call."""
        code = head.code if head.code is not None else Code.UNKNOWN
        note_refusal(call, advice, self._balance, self._shared.clock())
        is_bare = not head.details and code in (Code.UNAVAILABLE, Code.CANCELLED)
        call.said = None if is_bare else head
        if is_bare and self._is_late(call):
            self._release(call, server)
            self.ends.end_with(call, DeadlineExceeded(LATE))
            return
        if is_bare or (code == Code.UNAVAILABLE and not call.is_committed):
            failure = Failure.UNAVAILABLE
            if self._can_replay(call, failure, advice.retry):
                self._replay(call, server, failure)
                return
            if is_bare:
                self.failed(call, server, Failure.OTHER)
                return
        elif code != Code.OK and not call.is_committed and self._can_replay(call, Failure.OTHER, advice.retry):
            self._replay(call, server, Failure.OTHER)
            return
        call.code = code
        call.has_failed = code == Code.UNAVAILABLE
        if not call.client.has_ended:  # else it is over when the client has been told
            self._count_end(call, failed=call.has_failed)
            self._release(call, server)
        self.ends.end(call, head.trailers if call.encoding is not None else head.wire, at_once=True)

    def _is_late(self, call: Call) -> bool:
        return call.deadline is not None and self._shared.clock() > call.deadline - 2 * _MOST_MARGIN_SECONDS

    def failed(self, call: Call, server: Stream, failure: Failure) -> None:
        """Send a call elsewhere after a failure, or end it."""
        call.said = None
        if self._can_replay(call, failure, ""):
            self._replay(call, server, failure)
            return
        self._count_end(call, failed=failure in _INSTANCE_AT_FAULT)
        self._release(call, server)
        if call.destination is not None:
            late = DeadlineExceeded(LATE) if self._is_late(call) else None
            self.ends.end_with(call, late or call.destination.lost(begun=call.is_committed))

    def _can_replay(self, call: Call, failure: Failure, advice: str) -> bool:
        if call.kept is None or call.destination is None or call.has_ended:
            return False
        if call.destination.route is None:  # nobody else has these methods: once more, on a new connection
            return failure in (Failure.REFUSED, Failure.GOAWAY) and call.attempts < 2
        fallbacks = len(call.target.fallbacks) if call.target is not None else 0
        allowed = may_replay(
            failure,
            route=call.destination.route,
            has_request_id=call.has_request_id,
            committed=call.is_committed,
            attempts=call.attempts,
            advice=advice,
            fallbacks=fallbacks,
        )
        return allowed and (failure.is_free or fallbacks > 0 or self._budget.take(self._shared.clock()))

    def _replay(self, call: Call, server: Stream, failure: Failure) -> None:
        self.replays += 1
        failed = failure in _INSTANCE_AT_FAULT
        self._count_end(call, failed=failed)
        self._release(call, server)
        route = call.destination.route if call.destination is not None else None
        if failure in _ONLY_THE_CONNECTION and route is not None and call.attempts < _MOST_CONNECTIONS:
            call.tried.discard(route.instance_id)
        self.attempt(call)

    def _release(self, call: Call, server: Stream) -> None:
        """Let go of a server's end of a call."""
        call.server = None
        call.bytes_out += server.received
        uncredited = server.connection.drop_queue(server)
        if call.kept is not None:
            call.kept.uncredited += uncredited
        else:
            call.client.connection.consumed(call.client, uncredited)
        if server.has_ended and server.is_told:
            server.connection.forget(server)
        else:
            server.connection.reset(server, ErrorCode.NO_ERROR if server.has_ended else ErrorCode.CANCEL)
        self.server_is_free(server)
        server.peer = None

    def server_is_free(self, server: Stream) -> None:
        """Note that a server's end of a call is over."""
        self.leases.freed(cast("Upstream", server.connection))

    def _count_end(self, call: Call, *, failed: bool) -> None:
        """Note for the balance that an instance has answered, or has failed to; its place is free when it has ended."""
        route = call.destination.route if call.destination is not None else None
        if route is None or not call.is_counted:
            return
        now = self._shared.clock()
        call.is_counted = False
        seconds = None if call.answered_at is None else call.answered_at - call.sent_at
        self._balance.end(route.instance_id, now=now, seconds=seconds, failed=failed)
        self._lines.freed(route.provider_id)

    # A call is over

    def give_up(self, call: Call, error: AutoMarketError) -> None:
        """End a call that a server is working on, with an error of the relay's own."""
        server = call.server
        if server is not None:
            self._count_end(call, failed=False)
            self._release(call, server)
        self.ends.end_with(call, error)

    def over(self, call: Call) -> None:
        """Tidy up: nothing more comes from the client, and nothing more goes there."""
        if call.local is not None:
            call.local.close()
        if call.ticket is not None:
            self._lines.leave(call.ticket)
            call.ticket = None
        call.drop_kept()
        server = call.server
        if server is not None:
            self._release(call, server)
        self._count_end(call, failed=call.has_failed)
        self._finished(call)
        call.client.call = call.client.peer = None

    def tidy_up(self) -> None:
        """Tidy up after the calls that have ended."""
        while self.ended:
            self.over(self.ended.pop())


def _is_whole(call: Call) -> bool:
    """Tell whether a request is only its head."""
    return call.client.has_ended and (call.kept is None or call.kept.is_empty)
