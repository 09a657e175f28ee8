"""One end of a call: a stream on one connection, its two windows, and what waits to be sent to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gateway.relay.frames import DEFAULT_WINDOW, MAX_FRAME_BYTES

if TYPE_CHECKING:
    from collections import deque

    from gateway.relay.sender import Sender

FIRST_WINDOW: Final = DEFAULT_WINDOW
WINDOW: Final = 256 * 1024
# What a stream may get when it has shown that it is a large one, and over a long way.
BULK_WINDOW: Final = 1024 * 1024
BULK_BYTES: Final = 1024 * 1024
MOST_WINDOW: Final = 4 * 1024 * 1024
# A stream gets its full window when it has shown that it has more than a few small messages.
OPENING_BYTES: Final = 16 * 1024


class Stream:
    """One end of a call.

    Attributes:
        peer: the other end, on another connection; None while there is none.
        tx: bytes that may be sent to this end; below 0 after its peer has made its window smaller.
        rx: bytes that may still come from this end.
        window: bytes that may be under way from this end.
        granted: bytes that were ever allowed to come; what has come is `granted - rx`.
        owed: bytes that came and went on, not yet allowed to come again.
        step: bytes owed at which they are allowed again.
        queue: what waits to be sent to this end, None when nothing does.
        queued: bytes of DATA in the queue.
        is_fast: DATA from this end goes straight on to the other.
        is_discarding: DATA from this end goes nowhere.
        has_ended: this end has said its last (END_STREAM came).
        is_told: this end was told the last (END_STREAM was sent).
        is_ending: the last for this end was sent, or waits for its turn.
        call: what the call layer keeps of it.
        progress: when something was last sent from the queue.
    """

    __slots__ = (
        "call",
        "connection",
        "expected",
        "granted",
        "has_ended",
        "id",
        "is_discarding",
        "is_ending",
        "is_fast",
        "is_told",
        "last_grant",
        "owed",
        "peer",
        "progress",
        "queue",
        "queued",
        "rx",
        "step",
        "tx",
        "window",
    )

    def __init__(self, connection: Sender, stream_id: int, tx: int) -> None:
        self.connection = connection
        self.id = stream_id
        self.peer: Stream | None = None
        self.tx = tx
        self.rx = FIRST_WINDOW
        self.window = FIRST_WINDOW
        self.granted = FIRST_WINDOW
        self.owed = 0
        self.step = OPENING_BYTES
        self.queue: deque[Waiting] | None = None
        self.queued = 0
        self.is_fast = False
        self.is_discarding = False
        self.has_ended = False
        self.is_told = False
        self.is_ending = False
        self.expected: int | None = None
        self.call: Any = None
        self.progress = 0.0
        self.last_grant = 0.0

    @property
    def received(self) -> int:
        """Bytes of DATA that came from this end."""
        return self.granted - self.rx


class Waiting:
    """Something that waits to be sent: DATA, or a header block.

    Small pieces of data are put together: what waits must cost no more than its bytes.

    Attributes:
        payload: the bytes; for DATA shorter each time a part is sent.
        credit: bytes of it that the sender gets back as window when they have gone.
    """

    __slots__ = ("credit", "end", "is_headers", "payload")

    def __init__(self, payload: bytes, credit: int, *, end: bool, is_headers: bool = False) -> None:
        self.payload: bytes | bytearray = payload
        self.credit = credit
        self.end = end
        self.is_headers = is_headers

    def takes(self, payload: bytes, credit: int, *, end: bool) -> bool:
        """Put more data behind this; tell whether it fitted."""
        if self.is_headers or self.end or len(self.payload) + len(payload) > MAX_FRAME_BYTES:
            return False
        if not isinstance(self.payload, bytearray):
            self.payload = bytearray(self.payload)
        self.payload += payload
        self.credit += credit
        self.end = end
        return True
