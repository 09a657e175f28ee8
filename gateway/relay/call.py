"""What the relay keeps of one call."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gateway.relay.replay import KeptRequest

if TYPE_CHECKING:
    from gateway.relay.destination import Destination
    from gateway.relay.first_message import FirstMessage
    from gateway.relay.heads import AnswerHead, RequestHead
    from gateway.relay.leases import Session
    from gateway.relay.line import Ticket
    from gateway.relay.local import LocalCall
    from gateway.relay.stream import Stream
    from gateway.relay.target import Target
    from gateway.relay.trace import Span

REQUEST_ID = "automarket-request-id"


class Call:
    """One call, from its first header block to the end of both its streams.

    Attributes:
        client: the client's end.
        server: the end at the server that has the call now; None while there is none.
        first: reads the target from the first message, while it is not known.
        kept: the request so far, None once the call can no longer be sent elsewhere.
        answered_at: when the first data of an answer came.
        attempts: servers that had a part of the request.
        bytes_out: bytes of answers that servers sent.
        tried: instances that had the call, or could not be reached.
        refused: vendors, and models of theirs, that refused the call.
        encoding: grpc-encoding of the answer that has begun; None before.
        is_committed: the client has data of an answer.
        is_counted: the instance's outstanding calls hold this one.
        ending: the block that ends the call, while a client that is still sending is given time to notice.
        has_ended: the client was told the end, or is about to be.
        said: how the last server that had the call ended it, where that was in order.
        has_failed: the instance is held to be at fault.
        deadline: monotonic time, None without one.
    """

    __slots__ = (
        "answered_at",
        "attempts",
        "began",
        "bytes_out",
        "client",
        "code",
        "deadline",
        "destination",
        "encoding",
        "ending",
        "first",
        "has_ended",
        "has_failed",
        "head",
        "is_committed",
        "is_counted",
        "kept",
        "local",
        "moved",
        "moved_at",
        "reason",
        "refused",
        "said",
        "sent_at",
        "server",
        "session",
        "span",
        "target",
        "ticket",
        "tried",
        "wall",
    )

    def __init__(self, client: Stream, session: Session, head: RequestHead, span: Span, now: float) -> None:
        self.client = client
        self.session = session
        self.head = head
        self.span = span
        self.began = self.moved_at = self.sent_at = now
        self.wall = time.time()
        self.deadline = None if head.timeout is None else now + head.timeout
        self.server: Stream | None = None
        self.local: LocalCall | None = None
        self.target: Target | None = None
        self.first: FirstMessage | None = None
        self.kept: KeptRequest | None = KeptRequest(client.connection.shared)
        self.destination: Destination | None = None
        self.ticket: Ticket | None = None
        self.answered_at: float | None = None
        self.attempts = 0
        self.bytes_out = 0
        self.tried: set[str] = set()
        self.refused: set[tuple[str, str]] = set()
        self.encoding: bytes | None = None
        self.is_committed = False
        self.is_counted = False
        self.has_ended = False
        self.has_failed = False
        self.ending: bytes | None = None
        self.moved = 0
        self.said: AnswerHead | None = None
        self.code = 0
        self.reason = ""

    @property
    def has_request_id(self) -> bool:
        """Tell whether the caller named the request, so that a vendor can tell a repetition from a new one."""
        return any(key == REQUEST_ID for key, _ in self.head.ours)

    def drop_kept(self) -> None:
        """Give up sending the request elsewhere; what is not looked at any more goes straight on."""
        if self.kept is not None:
            self.kept.drop()
            self.kept = None
        client = self.client
        client.is_fast = client.expected is None and self.server is not None and not client.has_ended
