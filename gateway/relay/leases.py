"""Connections to the servers behind. Each client connection leases its own, so that nobody suffers from another.

A lease without calls goes to its address's idle list and may serve another client.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from gateway.relay.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.relay.shared import Events, Shared

IDLE_KEPT: Final = 32
IDLE_SECONDS: Final = 30.0
# A server that has calls and says nothing for so long is asked, and is lost when it does not answer in time.
SILENT_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 2.5


class Upstream(Connection):
    """A connection to a server behind.

    Attributes:
        is_established: the server has accepted it.
        written_id: requests up to this stream may have reached the server; those above have not.
        is_gone: tells whether the server has hung up, which may not have been heard yet.
        is_leaving: the server takes no new calls on it.
        has_heard: something came from the server since that was looked at.
        session: the client connection that leases it, None while it is idle.
    """

    def __init__(self, shared: Shared, events: Events, address: str) -> None:
        super().__init__(shared, events, is_server=False)
        self.address = address
        self.is_established = False
        self.written_id = 0
        self.is_gone: Callable[[], bool] = lambda: False
        self.is_leaving = False
        self.is_closed = False
        self.session: Session | None = None
        self.idle_since = 0.0
        self.has_heard = False
        self._silent_seconds = 0.0

    def is_full_at(self) -> None:
        """Note that the server takes no more calls on this connection than it has now."""
        self.peer_streams = len(self.streams)

    def listen_for_life(self, sweep_seconds: float) -> bool:
        """Note how long a server that has calls has said nothing, and ask it; tell whether it is lost."""
        if self.has_heard or not self.streams:
            self.has_heard = False
            self._silent_seconds = 0.0
            return False
        before, self._silent_seconds = self._silent_seconds, self._silent_seconds + sweep_seconds
        if before < SILENT_SECONDS <= self._silent_seconds:
            self.ping()
        return self._silent_seconds >= SILENT_SECONDS + ANSWER_SECONDS

    @property
    def can_open(self) -> bool:
        """Tell whether one more call may go over it."""
        most = self.shared.limits.upstream_streams
        if self.peer_streams is not None:
            most = min(most, self.peer_streams)
        return self.is_usable and len(self.streams) < most

    @property
    def is_usable(self) -> bool:
        """Tell whether it can take calls at all, now or when others have ended."""
        return not (self.is_leaving or self.is_failed or self.is_closed) and self.has_ids


class Session:
    """One client connection, with what it leases by address."""

    def __init__(self, connection: Connection, now: float) -> None:
        self.connection = connection
        self.leases: dict[str, list[Upstream]] = {}
        self.since = now
        self.idle_since = now
        self.is_leaving = False


class Leases:
    """All connections of a worker to the servers behind.

    Args:
        shared: of the worker.
        events: who hears of what comes from there.
        dial: begins to connect; the connection may be written to before it is there.
        close: closes a connection when what is to be written has been.
    """

    def __init__(
        self, shared: Shared, events: Events, dial: Callable[[Upstream], None], close: Callable[[Upstream], None]
    ) -> None:
        self._shared = shared
        self._events = events
        self._dial = dial
        self._close = close
        self._idle: dict[str, deque[Upstream]] = {}
        self.open: set[Upstream] = set()

    def lease(self, session: Session, address: str) -> Upstream | None:
        """Give a connection that a call of a client can go over, None when there may be no more of them."""
        leased = session.leases.setdefault(address, [])
        for upstream in leased:
            if upstream.can_open and not upstream.is_gone():
                return upstream
        upstream = self._idle_one(address) or self._new(address)
        if upstream is not None:
            upstream.session = session
            leased.append(upstream)
        return upstream

    def _idle_one(self, address: str) -> Upstream | None:
        line = self._idle.get(address)
        while line:
            upstream = line.pop()
            if upstream.can_open and not upstream.is_gone():
                return upstream
            self.close(upstream)
        return None

    def _new(self, address: str) -> Upstream | None:
        if len(self.open) >= self._shared.limits.upstream_connections and not self._close_oldest():
            self._shared.stats.hit("upstream_connections")
            return None
        upstream = Upstream(self._shared, self._events, address)
        self.open.add(upstream)
        self._dial(upstream)
        return upstream

    def _close_oldest(self) -> bool:
        lines = [line for line in self._idle.values() if line]
        if not lines:
            return False
        self.close(min(lines, key=lambda line: line[0].idle_since).popleft())
        return True

    def freed(self, upstream: Upstream) -> None:
        """Note that a call over a connection has ended."""
        if upstream.streams or upstream.is_closed or upstream.session is None:
            return
        self._unlease(upstream, upstream.session)
        if not upstream.is_usable:
            self.close(upstream)
            return
        line = self._idle.setdefault(upstream.address, deque())
        upstream.idle_since = self._shared.clock()
        line.append(upstream)
        if len(line) > IDLE_KEPT:
            self.close(line.popleft())

    def _unlease(self, upstream: Upstream, session: Session) -> None:
        upstream.session = None
        leased = session.leases.get(upstream.address, [])
        if upstream in leased:
            leased.remove(upstream)
        if not leased:
            session.leases.pop(upstream.address, None)

    def leaving(self, upstream: Upstream) -> None:
        """Note that a server takes no new calls on a connection."""
        upstream.is_leaving = True
        if upstream.session is not None:
            self.freed(upstream)
        elif not upstream.is_closed:
            self._idle[upstream.address].remove(upstream)
            self.close(upstream)

    def lost(self, upstream: Upstream) -> None:
        """Note that a connection is gone; its calls are told by who finds that out."""
        upstream.is_closed = True
        self.open.discard(upstream)
        if upstream.session is not None:
            self._unlease(upstream, upstream.session)
        line = self._idle.get(upstream.address)
        if line and upstream in line:
            line.remove(upstream)

    def close(self, upstream: Upstream) -> None:
        """Close a connection."""
        upstream.is_closed = True
        self.open.discard(upstream)
        self._close(upstream)

    def sweep(self, now: float, addresses: set[str]) -> None:
        """Close what was idle for long, or leads to where nobody is any more."""
        for address, line in list(self._idle.items()):
            while line and (address not in addresses or now - line[0].idle_since > IDLE_SECONDS):
                self.close(line.popleft())
            if not line:
                del self._idle[address]
