"""One worker: sockets around the core, timers, and an end that loses no call."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import socket
import struct
import time
from typing import TYPE_CHECKING, Final, cast

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
from gateway.relay.sweep import Sweeper

if TYPE_CHECKING:
    from gateway.relay.sender import Sender
    from gateway.relay.settings import RelaySettings
    from gateway.relay.table import Table

log = logging.getLogger("automarket.gateway")

CONNECT_SECONDS: Final = 1.0
FIRST_TABLE_SECONDS: Final = 3.0
SWEEP_SECONDS: Final = 0.5
DRAIN_ANSWER_SECONDS: Final = 1.0
_BUFFER_BYTES: Final = 256 * 1024
# A read that fills the buffer is followed by more of them, before any other socket is looked at. So a connection reads
# into the whole buffer only while its frames are large; else one read is short work, and the others come first.
_LEAST_BUFFER_BYTES: Final = 32 * 1024
_LARGE_FRAME_BYTES: Final = 1024
_UNIX_BUFFER_BYTES: Final = 1024 * 1024
_LINGER_SECONDS: Final = 1.0
_IOV_MOST: Final = 1000
_HIGH_WATER: Final = 256 * 1024
_LOW_WATER: Final = 64 * 1024
_TCP_INFO_BYTES: Final = 104
_RTT_AT: Final = 68
_RTT_KEPT_SECONDS: Final = 0.5
# A host that is lost is noticed by the kernel: after 15 s without a sign, or 20 s with data unacknowledged.
_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 2))
_USER_TIMEOUT_MILLISECONDS: Final = 20_000


class Wire(asyncio.BufferedProtocol):
    """A socket and the connection that it carries.

    All sockets read into the worker's one buffer, and write from it before the next one reads: a byte is copied from
    the kernel and to the kernel, and by nobody in between. What the kernel does not take is left to the transport.
    """

    def __init__(self, worker: Worker, connection: Connection) -> None:
        self._worker = worker
        self.connection = connection
        self.transport: asyncio.Transport | None = None
        self._rtt = 0.0
        self._rtt_until = 0.0
        self._socket: socket.socket | None = None
        self._file = -1
        self.is_lingering = False
        self._room = _LEAST_BUFFER_BYTES
        self._hung_up = select.poll()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=_HIGH_WATER, low=_LOW_WATER)
        found = cast("socket.socket", self.transport.get_extra_info("socket"))
        self._file = found.fileno()
        if found.family == socket.AF_UNIX:
            # By default one of 200 KiB: a window's worth does not fit, and the rest would be copied to wait here.
            found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNIX_BUFFER_BYTES)
        else:
            _prepare(found)
            self._socket = found
            self.connection.measure_rtt = self._measure_rtt
        if isinstance(self.connection, Upstream):
            self._hung_up.register(self._file, select.POLLRDHUP)
            self.connection.is_gone = lambda: bool(self._hung_up.poll(0))
        self._worker.connected(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Give where to read to: behind what is left of a frame."""
        rest = self.connection.rest
        worker = self._worker
        if rest:
            worker.buffer[: len(rest)] = rest
        return worker.view[len(rest) : self._room]

    def buffer_updated(self, nbytes: int) -> None:
        """Take bytes."""
        worker, connection = self._worker, self.connection
        if isinstance(connection, Upstream):
            connection.has_heard = True
        size = len(connection.rest) + nbytes
        if size < self._room:
            connection.receive_into(worker.buffer, worker.view, size)
        else:
            self._take_full(size)
        worker.write_all()

    def _take_full(self, size: int) -> None:
        """Take a buffer full, of which there may be more; others come first when that was much work."""
        worker, stats = self._worker, self._worker.shared.stats
        frames = stats.frames
        self.connection.receive_into(worker.buffer, worker.view, size)
        if size > (stats.frames - frames) * _LARGE_FRAME_BYTES:
            self._room = _BUFFER_BYTES
            return
        self._room = _LEAST_BUFFER_BYTES
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def write(self, outbox: list[bytes | memoryview]) -> None:
        """Write, as much as the kernel takes at once without the transport."""
        transport = self.transport
        if transport is None:
            return
        sent = 0
        if not transport.get_write_buffer_size() and not transport.is_closing():
            try:
                sent = (
                    os.write(self._file, outbox[0]) if len(outbox) == 1 else os.writev(self._file, outbox[:_IOV_MOST])
                )
            except BlockingIOError:
                sent = 0
            except (
                OSError
            ):  # the other end has hung up: this reached nobody, and what it sent before is still to be read
                if isinstance(self.connection, Upstream):
                    self.connection.is_leaving = True
                return
        if isinstance(self.connection, Upstream):
            self.connection.written_id = self.connection.opened_id
        for index, part in enumerate(outbox):
            if sent < len(part):
                left = b"".join((part[sent:], *outbox[index + 1 :]))
                transport.write(left)
                return
            sent -= len(part)

    def pause_writing(self) -> None:
        """Let what is to be written wait."""
        self.connection.is_paused = True

    def resume_writing(self) -> None:
        """Write what has waited."""
        self.connection.unpause()
        self._worker.write_all()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Tell the calls."""
        self.transport = None
        self._worker.disconnected(self)
        self._worker.write_all()

    def _measure_rtt(self) -> float:
        """Give the kernel's smoothed round-trip time."""
        now = time.monotonic()
        if self._socket is not None and now >= self._rtt_until:
            self._rtt_until = now + _RTT_KEPT_SECONDS
            with contextlib.suppress(OSError, struct.error):
                info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
                self._rtt = struct.unpack_from("=I", info, _RTT_AT)[0] / 1e6
        return self._rtt


def _prepare(tcp: socket.socket) -> None:
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        tcp.setsockopt(socket.IPPROTO_TCP, option, value)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MILLISECONDS)


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
        self.buffer = bytearray(_BUFFER_BYTES)
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
