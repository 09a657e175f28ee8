"""One worker: sockets around the core, timers, and an end that loses no call."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from gateway.relay.balance import Balance
from gateway.relay.calls import Calls
from gateway.relay.connection import Connection
from gateway.relay.feed import RoutingFeed
from gateway.relay.leases import Leases, Session, Upstream
from gateway.relay.line import Lines
from gateway.relay.listening import listen
from gateway.relay.local import Health
from gateway.relay.record import Record
from gateway.relay.retry import RetryBudget
from gateway.relay.shared import Shared
from gateway.relay.sides import ClientSide, ServerSide
from gateway.relay.sockets import BUFFER_BYTES, Wire
from gateway.relay.sweep import Sweeper

if TYPE_CHECKING:
    from gateway.relay.sender import Sender
    from gateway.relay.settings import RelaySettings
    from gateway.relay.table import Table

log = logging.getLogger("automarket.gateway")

# TCP sends a lost SYN again after a second; and a worker that takes two hundred connections at once may be late itself.
CONNECT_SECONDS: Final = 3.0
FIRST_TABLE_SECONDS: Final = 3.0
SWEEP_SECONDS: Final = 0.5
DRAIN_ANSWER_SECONDS: Final = 1.0
_LINGER_SECONDS: Final = 1.0


class Worker:
    """All connections of one process."""

    def __init__(self, settings: RelaySettings) -> None:
        self.settings = settings
        self.shared = Shared(settings.limits, time.monotonic)
        self.health = Health()
        self.balance = Balance()
        self.lines = Lines()
        self.feed = RoutingFeed(settings.routes.removeprefix("unix:"), self._take_table)
        self.record = Record(self.feed, self.shared)
        self.calls = Calls(
            self.shared,
            table=lambda: self.feed.table,
            balance=self.balance,
            lines=self.lines,
            budget=RetryBudget(),
            health=self.health,
            later=self._later,
            finished=self.record.finished,
        )
        self.servers = ServerSide(self.calls)
        self.leases = Leases(self.shared, self.servers, self._dial, self._hang_up)
        self.calls.leases = self.servers.leases = self.leases
        self.sessions: set[Session] = set()
        self._announced: set[Session] = set()
        self.buffer = bytearray(BUFFER_BYTES)
        self.view = memoryview(self.buffer)
        self._wires: dict[Sender, Wire] = {}
        self._dialling: set[asyncio.Task[None]] = set()
        self._is_draining = False
        self._sweeper = Sweeper(self)

    # Sockets

    def accept(self) -> Wire:
        """Make what serves a client that has connected."""
        side = ClientSide(self.calls, self.shared, self._announced)
        connection = Connection(self.shared, side, is_server=True)
        side.session = Session(connection, self.shared.clock())
        wire = Wire(self, connection)
        self._wires[connection] = wire
        self.sessions.add(side.session)
        return wire

    def connected(self, wire: Wire) -> None:
        """Take note of a socket."""
        connection = wire.connection
        if isinstance(connection, Upstream):
            connection.is_established = True
            self._wires[connection] = wire
            if connection.is_closed:  # nobody wants it any more
                self._hang_up(connection)
                return
            self.shared.dirty.append(connection)
        elif len(self.sessions) > self.settings.limits.connections:
            self.shared.stats.hit("connections")
            self._hang_up(connection)
        elif self._is_draining:
            connection.announce_end()
        self.write_all()

    def disconnected(self, wire: Wire) -> None:
        """Tidy up after a socket."""
        connection = wire.connection
        self._wires.pop(connection, None)
        connection.outbox.clear()
        connection.settle_unsent()
        if isinstance(connection, Upstream):
            self.servers.closed(connection)
            return
        for session in [one for one in self.sessions if one.connection is connection]:
            self.sessions.discard(session)
            self._announced.discard(session)
        connection.is_failed = True
        self._drop_calls(connection)

    def write_all(self) -> None:
        """Write what is to be written, on all connections."""
        self._write_dirty()
        if self.calls.ended:
            self.calls.tidy_up()
            self._write_dirty()

    def _write_dirty(self) -> None:
        dirty = self.shared.dirty
        while dirty:
            connection = dirty.pop()
            wire = self._wires.get(connection)
            if wire is None or wire.transport is None:
                is_to_come = isinstance(connection, Upstream) and not connection.is_closed
                connection.outbox = [b"".join(connection.outbox)] if is_to_come else []
                continue
            outbox = connection.outbox
            if outbox:
                connection.outbox = []
                wire.write(outbox)
            if connection.is_failed:
                self._linger(wire)
            elif connection.has_more and not connection.is_paused:
                connection.resume()
                if connection.has_more and not connection.outbox:
                    connection.has_more = False

    def _linger(self, wire: Wire) -> None:
        """Hang up on a peer at fault when it has had time to read why; what it still sends goes nowhere.

        A socket that is closed with something unread takes back what was not read at the other end.
        """
        connection, transport = wire.connection, wire.transport
        if wire.is_lingering or transport is None:
            return
        wire.is_lingering = True
        if isinstance(connection, Upstream) or not transport.can_write_eof():
            transport.close()
            return
        self._drop_calls(connection)
        transport.write_eof()
        self._later(_LINGER_SECONDS, transport.abort)

    def _drop_calls(self, connection: Connection) -> None:
        for stream in list(connection.streams.values()):
            connection.forget(stream)
            connection.events.on_reset(stream, 0)

    def _later(self, seconds: float, run: object) -> None:
        def act() -> None:
            run()  # pyright: ignore[reportCallIssue]
            self.write_all()

        asyncio.get_running_loop().call_later(seconds, act)

    def _dial(self, upstream: Upstream) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(upstream))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _connect(self, upstream: Upstream) -> None:
        loop = asyncio.get_running_loop()
        wire = Wire(self, upstream)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                if upstream.address.startswith("unix:"):
                    await loop.create_unix_connection(lambda: wire, upstream.address.removeprefix("unix:"))
                else:
                    host, _, port = upstream.address.rpartition(":")
                    await loop.create_connection(lambda: wire, host.strip("[]"), int(port))
        except (OSError, ValueError, TimeoutError):
            log.warning("nobody answers", extra={"address": upstream.address})
            upstream.outbox.clear()
            self.servers.closed(upstream)
            self.write_all()

    def _give_up(self, upstream: Upstream) -> None:
        """Treat a server that does not answer as lost."""
        log.warning("a server does not answer", extra={"address": upstream.address})
        wire = self._wires.get(upstream)
        if wire is not None and wire.transport is not None:
            wire.transport.abort()

    def _hang_up(self, connection: Sender) -> None:
        wire = self._wires.get(connection)
        if wire is not None and wire.transport is not None:
            wire.transport.close()

    def _take_table(self, table: Table) -> None:
        self.health.follow(table)
        self.balance.forget({one.instance_id for provider in table.providers for one in provider.instances})
        self.lines.changed()
        self.write_all()

    # The life of the worker

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until an event is set, then let the calls under way finish."""
        async with self.feed:
            if self.settings.reuse_port:  # others have the port: calls come here only once there is a way for them
                await self.feed.until_known(FIRST_TABLE_SECONDS)
            server = await listen(self.settings, self.accept)
            sweeping = asyncio.create_task(self._sweep())
            try:
                await stop.wait()
                await self._drain(server)
            finally:
                server.close()
                sweeping.cancel()
                self.record.flush(self, at_once=True)
                for connection in list(self._wires):
                    self._hang_up(connection)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                self._look_around()
            except Exception:
                log.exception("a bug: the worker goes on, and looks again")

    def _look_around(self) -> None:
        """See to what time brings: limits that have passed, servers that are silent, and the report to control."""
        self._sweeper.sweep()
        for upstream in tuple(self.leases.open):
            if upstream.is_established and upstream.listen_for_life(SWEEP_SECONDS):
                self._give_up(upstream)
        self.record.flush(self)
        self.write_all()

    async def _drain(self, server: asyncio.Server) -> None:
        """Stop taking connections, then calls, and wait for those under way.

        The port is closed first: a client that follows GOAWAY finds another worker there, or nobody.
        """
        self._is_draining = True
        server.close()
        self.health.end()
        loop = asyncio.get_running_loop()
        until = loop.time() + self.settings.drain_seconds
        self._announced |= self.sessions
        for session in self.sessions:
            session.connection.announce_end()
        self.write_all()
        answer_until = loop.time() + DRAIN_ANSWER_SECONDS
        while self.sessions and loop.time() < until:
            if loop.time() >= answer_until:
                for session in tuple(self._announced):
                    session.connection.refuse_new()
                self._announced.clear()
            for session in tuple(self.sessions):
                if session not in self._announced and not session.connection.streams:
                    self._end(session)
            self.write_all()
            await asyncio.sleep(0.02)

    def _end(self, session: Session) -> None:
        """Hang up on a client that has no calls left, after it had a moment to read and to hang up itself."""
        now = self.shared.clock()
        if not session.is_leaving:
            session.is_leaving = True
            session.idle_since = now
        elif now - session.idle_since > DRAIN_ANSWER_SECONDS:
            self._hang_up(session.connection)


async def serve(settings: RelaySettings, stop: asyncio.Event) -> None:
    """Run a worker until an event is set."""
    await Worker(settings).run(stop)
