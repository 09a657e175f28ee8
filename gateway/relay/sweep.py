"""What has to be looked at now and then: time that has run out, and memory that has run full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from automarket.errors import DeadlineExceeded, ExhaustedError, TargetMissing
from gateway.relay.calls import LATE
from gateway.relay.frames import ErrorCode, goaway

if TYPE_CHECKING:
    from gateway.relay.call import Call
    from gateway.relay.leases import Session
    from gateway.relay.worker import Worker

# Client and server see to deadlines themselves; the relay ends what both have forgotten.
_DEADLINE_GRACE_SECONDS: Final = 1.0
_LEASES_SECONDS: Final = 5.0


class Sweeper:
    """Looks at all connections and calls of a worker."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._shared = worker.shared
        self._limits = worker.shared.limits
        self._next_leases = 0.0

    def sweep(self) -> None:
        """Look at everything once."""
        now = self._shared.clock()
        for session in tuple(self._worker.sessions):
            calls = [stream.call for stream in tuple(session.connection.streams.values()) if stream.call is not None]
            for call in calls:
                self._look_at_call(call, now)
            self._look_at_session(session, now, busy=bool(calls))
        self._free_memory()
        if now >= self._next_leases:
            self._next_leases = now + _LEASES_SECONDS
            table = self._worker.feed.table
            addresses = {one.address for provider in table.providers for one in provider.instances}
            self._worker.leases.sweep(now, addresses | {table.control, table.asset_store})

    def _look_at_session(self, session: Session, now: float, *, busy: bool) -> None:
        connection = session.connection
        if busy:
            session.idle_since = now
            return
        if session.is_leaving:
            return
        unused = not connection.last_id and now - session.since > self._limits.first_headers_seconds
        if unused or now - session.idle_since > self._limits.idle_seconds:
            self._shared.stats.hit("first_headers_seconds" if unused else "idle_seconds")
            connection.write(goaway(connection.last_id, ErrorCode.NO_ERROR, "no calls came for a while"))
            connection.is_failed = True

    def _look_at_call(self, call: Call, now: float) -> None:
        calls, limits, client = self._worker.calls, self._limits, call.client
        if client.queue is not None and now - client.progress > limits.stalled_reader_seconds:
            self._shared.stats.hit("stalled_reader_seconds")
            calls.ends.reset_client(call, ErrorCode.ENHANCE_YOUR_CALM)
        elif call.has_ended:
            return
        elif call.deadline is not None and now > call.deadline + _DEADLINE_GRACE_SECONDS:
            calls.give_up(call, DeadlineExceeded(LATE))
        elif call.first is not None and now - call.began > limits.first_message_seconds:
            self._shared.stats.hit("first_message_seconds")
            calls.ends.end_with(
                call, TargetMissing("the first message did not come in time", hint="send the header first")
            )
        elif not client.has_ended:
            self._look_for_movement(call, now)

    def _look_for_movement(self, call: Call, now: float) -> None:
        """End a request that neither goes on nor ends, such as a message of which a part never comes."""
        moved = call.client.received + (call.server.received if call.server is not None else 0)
        if moved != call.moved:
            call.moved, call.moved_at = moved, now
        elif now - call.moved_at > self._limits.idle_seconds:
            self._shared.stats.hit("idle_seconds")
            self._worker.calls.give_up(call, DeadlineExceeded("nothing has moved on this call for too long"))

    def _free_memory(self) -> None:
        """Reset the streams that have gone longest without progress while more is held than may be."""
        stats = self._shared.stats
        while stats.queued + stats.kept > self._limits.worker_queue_bytes:
            waiting = [
                stream
                for connection in (*[one.connection for one in self._worker.sessions], *self._worker.leases.open)
                for stream in connection.blocked.values()
                if stream.call is not None
            ]
            if not waiting:
                return
            stats.hit("worker_queue_bytes")
            call: Call = min(waiting, key=lambda stream: stream.progress).call
            if call.server is not None:
                self._worker.calls.give_up(call, ExhaustedError("the gateway holds as much as it may"))
            else:
                self._worker.calls.ends.reset_client(call, ErrorCode.ENHANCE_YOUR_CALM)
