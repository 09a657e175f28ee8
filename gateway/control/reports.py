"""Taking the reports of relay workers, and exporting them as telemetry of the service "gateway"."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.metrics import CallbackOptions, Observation

from automarket.rpc.behalf import Behalf, FinishedSpan
from automarket.rpc.metrics import CallMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import Counter, Meter

log = logging.getLogger("automarket.control.reports")

SERVICE = "gateway"
_LIMIT = "limit."
_UNKNOWN = "unknown"
# Name in a report, metric, unit, description.
_GAUGES = (
    ("connections", "automarket.relay.connections", "{connection}", "Connections of clients"),
    ("upstream_connections", "automarket.relay.upstream.connections", "{connection}", "Connections to servers behind"),
    ("streams", "automarket.relay.streams", "{call}", "Calls under way"),
    ("queued_bytes", "automarket.relay.queued", "By", "Data that waits for somebody to take it"),
    ("queued_bytes_most", "automarket.relay.queued.most", "By", "The most data that has waited at once"),
    ("kept_bytes", "automarket.relay.kept", "By", "Data of requests that may have to be sent elsewhere"),
)
_COUNTERS = (
    ("frames", "automarket.relay.frames", "{frame}", "Frames moved"),
    ("replays", "automarket.relay.replays", "{call}", "Calls sent elsewhere after a failure"),
    ("spans_left_out", "automarket.relay.spans.dropped", "{span}", "Spans beyond what a report holds"),
)


class _Calls(NamedTuple):
    """Calls of one kind, as they stand in a report."""

    method: str
    provider: str
    model: str
    code: str
    bytes_in: int
    bytes_out: int
    seconds: list[float]

    def checked(self) -> _Calls:
        """Give the same with every value of its type."""
        names = (str(self.method), str(self.provider), str(self.model), str(self.code))
        return _Calls(*names, int(self.bytes_in), int(self.bytes_out), [float(one) for one in self.seconds])


class _Span(NamedTuple):
    """A span, as it stands in a report."""

    method: str
    provider: str
    model: str
    code: str
    reason: str
    replays: int
    begin: float
    end: float
    trace_id: str
    span_id: str
    parent_id: str

    def finished(self) -> FinishedSpan:
        """Give it with its attributes."""
        replays = {"replays": int(self.replays)} if self.replays else {}
        return FinishedSpan(
            name=self.method.lstrip("/"),
            begin=self.begin,
            end=self.end,
            trace_id=self.trace_id,
            span_id=self.span_id,
            parent_id=self.parent_id,
            attributes={**_who(self), **replays},
            error="" if self.code == "OK" else self.reason or self.code,
        )


def _who(one: _Calls | _Span) -> dict[str, str]:
    return {"provider": one.provider, "model": one.model} if one.provider else {}


class Reports:
    """Records what relay workers report.

    Args:
        methods: paths of the methods that there are. Metrics must not grow with whatever callers make up.
        behalf: exports it.
    """

    def __init__(self, methods: Iterable[str], behalf: Behalf | None = None) -> None:
        self._methods = frozenset(methods)
        self._behalf = behalf or Behalf(SERVICE)
        meter = self._behalf.meter()
        self._calls = CallMetrics(meter)
        self._levels: dict[object, tuple[str, dict[str, float]]] = {}
        self._counters = {name: _counter(meter, *what) for name, *what in _COUNTERS}
        self._limits = _counter(meter, "automarket.relay.limits", "{time}", "Limits that clients ran into")
        for name, metric, unit, description in _GAUGES:
            meter.create_observable_gauge(metric, [self._observer(name)], unit=unit, description=description)
        self._has_warned = False

    def take(self, follower: object, line: bytes) -> None:
        """Take a line of a worker. One that makes no sense is dropped, with a warning the first time."""
        try:
            self._take(follower, json.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            self.dropped(error)

    def dropped(self, error: Exception) -> None:
        """Note that a line made no sense."""
        if not self._has_warned:
            self._has_warned = True
            log.warning("a report makes no sense; dropping such", extra={"error": type(error).__name__})

    def gone(self, follower: object) -> None:
        """Forget the levels of a worker that has ended."""
        self._levels.pop(follower, None)

    def _take(self, follower: object, report: dict[str, Any]) -> None:
        """Take a report whole, or fail before anything of it was taken."""
        levels = {str(name): float(level) for name, level in report["gauges"].items()}
        counts = {str(name): int(count) for name, count in report["counts"].items()}
        calls = [_Calls(*one).checked() for one in report["calls"]]
        worker = str(int(report["worker"]))
        self._behalf.export([_Span(*one).finished() for one in report["spans"]])
        self._levels[follower] = (worker, levels)
        for one in calls:
            method = one.method if one.method in self._methods else _UNKNOWN
            facts = {**_who(one), "code": one.code}
            self._calls.add(method, facts, one.seconds, bytes_in=one.bytes_in, bytes_out=one.bytes_out)
        for name, count in counts.items():
            if name.startswith(_LIMIT):
                self._limits.add(count, {"limit": name.removeprefix(_LIMIT)})
            elif name in self._counters:
                self._counters[name].add(count)

    def _observer(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            for worker, levels in list(self._levels.values()):  # another thread asks
                if name in levels:
                    yield Observation(levels[name], {"worker": worker})

        return observe


def _counter(meter: Meter, name: str, unit: str, description: str) -> Counter:
    return meter.create_counter(name, unit=unit, description=description)
