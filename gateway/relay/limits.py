"""What one client may cost a worker, and counting against it.

Each limit ends in a GOAWAY or RST code of HTTP/2 or in a gRPC status, and counts in `automarket.relay.limits` by its
name.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "AUTOMARKET_GATEWAY_LIMIT_"

KIB, MIB = 1024, 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Every limit of a relay worker; each is set by AUTOMARKET_GATEWAY_LIMIT_ and its name in capitals.

    Attributes:
        header_list_bytes: names and values of one header block, 32 bytes more for each field.
        continuations: CONTINUATION frames of one header block.
        resets: streams that a client resets before any answer, in `resets_seconds`.
        resets_seconds: see `resets`.
        control_frames: SETTINGS, PING, PRIORITY, unknown and empty frames on one connection, in `control_seconds`.
        control_seconds: see `control_frames`.
        streams: calls under way on one client connection.
        connections: client connections of a worker.
        upstream_connections: connections of a worker to servers behind it.
        upstream_streams: calls under way on one connection to a server behind it, whatever more it would accept.
        first_headers_seconds: time for a new connection's first request.
        idle_seconds: a connection without calls, or an unfinished request on which nothing moves.
        stalled_reader_seconds: a client that takes nothing although there is data for it.
        first_message_seconds: time for the target to come in the first message, where metadata do not name it.
        first_message_bytes: how far into the first message the target may reach.
        connection_queue_bytes: what one connection may have queued before its credit is withheld.
        worker_queue_bytes: what all connections may have queued, kept requests included.
        kept_request_bytes: what is kept of one request so that it can be sent elsewhere.
        worker_kept_bytes: what is kept of all requests.
    """

    header_list_bytes: int = 16 * KIB
    continuations: int = 8
    resets: int = 100
    resets_seconds: float = 10
    control_frames: int = 1000
    control_seconds: float = 10
    streams: int = 1000
    connections: int = 1000
    upstream_connections: int = 4096
    upstream_streams: int = 100
    first_headers_seconds: float = 10
    idle_seconds: float = 600
    stalled_reader_seconds: float = 60
    first_message_seconds: float = 5
    first_message_bytes: int = 16 * KIB
    connection_queue_bytes: int = 8 * MIB
    worker_queue_bytes: int = 64 * MIB
    kept_request_bytes: int = 1 * MIB
    worker_kept_bytes: int = 32 * MIB

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Limits:
        """Give the limits, with those that the environment names changed.

        Raises:
            ValueError: a value is no positive number.
        """
        changed: dict[str, int | float] = {}
        for field in fields(cls):
            name = PREFIX + field.name.upper()
            if name in environment:
                changed[field.name] = _number(name, environment[name], whole=isinstance(field.default, int))
        # Seconds may be fractions, everything else is a count.
        return cls(**changed)  # pyright: ignore[reportArgumentType]


def _number(name: str, text: str, *, whole: bool) -> int | float:
    try:
        value = int(text) if whole and not name.endswith("_SECONDS") else float(text)
    except ValueError:
        value = 0
    if not value > 0:
        message = f"{name} must be a positive number, not {text[:40]!r}"
        raise ValueError(message)
    return value


class Meter:
    """Counts events in a window of time that starts anew whenever it has passed.

    Args:
        most: events that are allowed in a window.
        seconds: length of the window.
    """

    __slots__ = ("_count", "_end", "_most", "_seconds")

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._end = 0.0
        self._count = 0

    def is_exceeded(self, now: float, events: int = 1) -> bool:
        """Count events; tell whether they are too many."""
        if now >= self._end:
            self._end = now + self._seconds
            self._count = 0
        self._count += events
        return self._count > self._most
