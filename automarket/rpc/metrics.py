"""Every metric of the mesh, in one place; the names are OpenTelemetry's (dots; units apart).

| metric | what to alert on |
| --- | --- |
| automarket.calls | the rate of `code` other than OK, by method |
| automarket.call.duration | its 99th percentile |
| automarket.calls.active | a level that does not come down |
| automarket.call.received, automarket.call.sent | traffic that is far from the usual, by method |
| automarket.casts, automarket.cast.duration | casts that are not cached when they should be |
| automarket.instances | providers with fewer instances than expected |
| automarket.provider.queue | calls that wait for a place |
| automarket.store.bytes, automarket.store.corrupt | the quota, and any corruption at all |
| automarket.child.restarts | any steady rate |

These are of the service "gateway" besides the calls, by `worker` where they are levels:

| metric | what to alert on |
| --- | --- |
| automarket.relay.connections, automarket.relay.upstream.connections | a level near the limit |
| automarket.relay.streams | a level that does not come down |
| automarket.relay.queued, automarket.relay.queued.most | data that somebody does not take |
| automarket.relay.kept | requests that are kept for a second attempt, near the limit |
| automarket.relay.frames | nothing; it says how much work there is |
| automarket.relay.replays | calls that were sent elsewhere: providers that are lost |
| automarket.relay.limits | by `limit`: clients that ask for too much, break the protocol, or attack |
| automarket.relay.spans.dropped | more calls than traces are kept of |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.metrics import Meter

_meter = metrics.get_meter("automarket")
# From a look-up to a long film; the standard's bounds are meant for milliseconds.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class CallMetrics:
    """What is counted of the calls that a process takes."""

    def __init__(self, meter: Meter) -> None:
        self._calls = meter.create_counter(
            "automarket.calls", unit="{call}", description="Calls ended, by method and code"
        )
        self._duration = meter.create_histogram(
            "automarket.call.duration",
            unit="s",
            description="How long calls took",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._received = meter.create_counter("automarket.call.received", unit="By", description="Bytes of requests")
        self._sent = meter.create_counter("automarket.call.sent", unit="By", description="Bytes of answers")

    def add(
        self, method: str, facts: Mapping[str, str], seconds: Sequence[float], *, bytes_in: int, bytes_out: int
    ) -> None:
        """Count calls that have all facts in common.

        Args:
            method: their path.
            facts: what else they are counted by; `code` is one.
            seconds: how long each took.
            bytes_in: bytes of all requests.
            bytes_out: bytes of all answers.
        """
        label = {"method": method}
        labels = {**label, **facts}
        self._calls.add(len(seconds), labels)
        for one in seconds:
            self._duration.record(one, labels)
        self._received.add(bytes_in, label)
        self._sent.add(bytes_out, label)


calls = CallMetrics(_meter)
active_calls = _meter.create_up_down_counter("automarket.calls.active", unit="{call}", description="Calls under way")
casts = _meter.create_counter("automarket.casts", unit="{cast}", description="Casts made, or found made (cached)")
cast_duration = _meter.create_histogram(
    "automarket.cast.duration",
    unit="s",
    description="How long casts took",
    explicit_bucket_boundaries_advisory=_SECONDS,
)
instances = _meter.create_up_down_counter("automarket.instances", unit="{instance}", description="Registered instances")
queue = _meter.create_up_down_counter("automarket.provider.queue", unit="{call}", description="Calls that wait")
store_bytes = _meter.create_up_down_counter("automarket.store.bytes", unit="By", description="Bytes of kept assets")
corrupt = _meter.create_counter("automarket.store.corrupt", unit="{asset}", description="Assets found corrupt")
child_restarts = _meter.create_counter(
    "automarket.child.restarts", unit="{restart}", description="Processes that ended and were started again"
)
