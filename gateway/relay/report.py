"""What a worker reports to control, which exports it: the worker itself knows nothing of telemetry.

A report is one JSON line:

| key | value |
| --- | --- |
| worker | the worker's process id |
| calls | for each kind of call: method, provider, model, code, bytes in, bytes out, seconds of each |
| spans | of each: method, provider, model, code, reason, replays, begin, end, trace, span, parent |
| gauges | levels by name |
| counts | what has been counted since the last report, by name |

Times are seconds of the epoch.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Final

# What a caller can make a worker keep until the next report.
_MOST_SPANS: Final = 1000
_MOST_KINDS: Final = 500
_LONGEST_METHOD: Final = 200
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class CallReport:
    """One call that has ended.

    Attributes:
        method: its path.
        provider, model: who had it, empty when nobody did.
        code, reason: how it ended.
        begin, end: seconds of the epoch.
        bytes_in, bytes_out: data of the request and of the answer.
        trace_id, span_id, parent_id: of the worker's span, in hex; `parent_id` is empty where the trace begins here.
        sampled: the span is wanted.
        replays: how often it was sent elsewhere.
    """

    method: str
    provider: str
    model: str
    code: str
    reason: str
    begin: float
    end: float
    bytes_in: int
    bytes_out: int
    trace_id: str
    span_id: str
    parent_id: str
    sampled: bool
    replays: int = 0


class Reports:
    """Collects what has happened until it is told."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str, str, str], _Kind] = {}
        self._spans: list[tuple[Any, ...]] = []
        self._gauges: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def call(self, call: CallReport) -> None:
        """Take a call. It always counts; beyond 1,000 between two reports its span is left out."""
        method = call.method[:_LONGEST_METHOD]
        self._kind(method, call).add(call)
        if not call.sampled:
            return
        if len(self._spans) >= _MOST_SPANS:
            self.count("spans_left_out")
            return
        what = (method, call.provider, call.model, call.code, call.reason, call.replays)
        self._spans.append((*what, call.begin, call.end, call.trace_id, call.span_id, call.parent_id))

    def _kind(self, method: str, call: CallReport) -> _Kind:
        key = (method, call.provider, call.model, call.code)
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= _MOST_KINDS:
                key = (_UNKNOWN, call.provider, call.model, call.code)
            kind = self._kinds.setdefault(key, _Kind())
        return kind

    def gauge(self, name: str, value: float) -> None:
        """Take a level as it is now."""
        self._gauges[name] = value

    def count(self, name: str, n: int = 1) -> None:
        """Count something."""
        self._counts[name] = self._counts.get(name, 0) + n

    def line(self) -> bytes:
        """Give the report and begin the next one; levels stay as they are."""
        calls = [(*key, kind.bytes_in, kind.bytes_out, kind.seconds) for key, kind in self._kinds.items()]
        report = {"worker": os.getpid(), "calls": calls, "spans": self._spans}
        report |= {"gauges": self._gauges, "counts": self._counts}
        line = json.dumps(report, separators=(",", ":")).encode() + b"\n"
        self._kinds, self._spans, self._counts = {}, [], {}
        return line


class _Kind:
    """Calls that have everything in common that they are counted by."""

    __slots__ = ("bytes_in", "bytes_out", "seconds")

    def __init__(self) -> None:
        self.bytes_in = self.bytes_out = 0
        self.seconds: list[float] = []

    def add(self, call: CallReport) -> None:
        """Add a call."""
        self.bytes_in += call.bytes_in
        self.bytes_out += call.bytes_out
        self.seconds.append(round(max(0.0, call.end - call.begin), 6))
