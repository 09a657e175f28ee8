"""What a worker says of its calls: a line in its log for each, and a report to control once a second."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final

from automarket.errors import Code
from gateway.relay.report import CallReport, Reports

if TYPE_CHECKING:
    from gateway.relay.call import Call
    from gateway.relay.feed import RoutingFeed
    from gateway.relay.shared import Shared
    from gateway.relay.worker import Worker

log = logging.getLogger("automarket.gateway")

REPORT_SECONDS: Final = 1.0
_QUIET: Final = ("/grpc.health.", "/grpc.reflection.")
_KNOWN_CODES: Final = frozenset(Code)


class Record:
    """Writes down what happens.

    Args:
        feed: control's end of it.
        shared: what the worker counts.
    """

    def __init__(self, feed: RoutingFeed, shared: Shared) -> None:
        self._feed = feed
        self._shared = shared
        self._reports = Reports()
        self._next = 0.0
        self._told: dict[str, int] = {}

    def finished(self, call: Call) -> None:
        """Write down a call that is over."""
        path, route = call.head.path, call.destination.route if call.destination is not None else None
        code = Code(call.code) if call.code in _KNOWN_CODES else Code.UNKNOWN
        seconds = self._shared.clock() - call.began
        bytes_in, bytes_out = call.client.received, call.bytes_out
        if log.isEnabledFor(logging.INFO) and not path.startswith(_QUIET):
            line: dict[str, Any] = {"method": path[:200], "code": code.name, "ms": round(seconds * 1000, 1)}
            line |= {"bytes_in": bytes_in, "bytes_out": bytes_out}
            line |= {"provider": route.provider_id, "model": route.model_id} if route is not None else {}
            line |= {"reason": call.reason} if call.reason else {}
            line |= {"attempts": call.attempts} if call.attempts > 1 else {}
            log.info("call", extra={**line, "trace_id": call.span.trace, "span_id": call.span.span})
        if self._feed.table.telemetry:
            self._reports.call(
                CallReport(
                    method=path,
                    provider=route.provider_id if route is not None else "",
                    model=route.model_id if route is not None else "",
                    code=code.name,
                    reason=call.reason,
                    begin=call.wall,
                    end=time.time(),
                    bytes_in=bytes_in,
                    bytes_out=bytes_out,
                    trace_id=call.span.trace,
                    span_id=call.span.span,
                    parent_id=call.span.parent,
                    sampled=call.span.is_sampled,
                    replays=max(call.attempts - 1, 0),
                )
            )

    def flush(self, worker: Worker, *, at_once: bool = False) -> None:
        """Tell control how things are, now and then."""
        now = self._shared.clock()
        if (now < self._next and not at_once) or not self._feed.connected:
            return
        self._next = now + REPORT_SECONDS
        stats, sessions = self._shared.stats, worker.sessions
        self._reports.gauge("connections", len(sessions))
        self._reports.gauge("streams", sum(len(session.connection.streams) for session in sessions))
        self._reports.gauge("upstream_connections", len(worker.leases.open))
        self._reports.gauge("queued_bytes", stats.queued)
        self._reports.gauge("queued_bytes_most", stats.queued_most)
        self._reports.gauge("kept_bytes", stats.kept)
        counted = {"frames": stats.frames, "replays": worker.calls.replays}
        counted |= {f"limit.{name}": count for name, count in stats.limits.items()}
        for name, count in counted.items():
            if more := count - self._told.get(name, 0):
                self._reports.count(name, more)
        self._told = counted
        self._feed.send(self._reports.line())
