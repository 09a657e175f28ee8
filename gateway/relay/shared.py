"""What all connections of a worker share: limits, counts, the cache of fields, and what they tell the calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from gateway.relay.headers import FieldCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.relay.connection import Connection
    from gateway.relay.headers import FieldList
    from gateway.relay.limits import Limits
    from gateway.relay.sender import Sender
    from gateway.relay.stream import Stream


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
        self.dirty: list[Sender] = []
