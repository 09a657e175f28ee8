"""A socket of the relay: what comes is read into the worker's buffer, what goes is written from there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import struct
import time
from typing import TYPE_CHECKING, Final, cast

from gateway.relay.leases import Upstream

if TYPE_CHECKING:
    from gateway.relay.connection import Connection
    from gateway.relay.worker import Worker

BUFFER_BYTES: Final = 256 * 1024
# A read that fills the buffer is followed by more of them, before any other socket is looked at. So a connection reads
# into the whole buffer only while its frames are large; else one read is short work, and the others come first.
_LEAST_BUFFER_BYTES: Final = 32 * 1024
_LARGE_FRAME_BYTES: Final = 1024
_UNIX_BUFFER_BYTES: Final = 1024 * 1024
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
            self._room = BUFFER_BYTES
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
