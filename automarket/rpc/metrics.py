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
"""

from __future__ import annotations

from opentelemetry import metrics

_meter = metrics.get_meter("automarket")
# From a look-up to a long film; the standard's bounds are meant for milliseconds.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

calls = _meter.create_counter("automarket.calls", unit="{call}", description="Calls ended, by method and code")
call_duration = _meter.create_histogram(
    "automarket.call.duration",
    unit="s",
    description="How long calls took",
    explicit_bucket_boundaries_advisory=_SECONDS,
)
bytes_received = _meter.create_counter("automarket.call.received", unit="By", description="Bytes of requests")
bytes_sent = _meter.create_counter("automarket.call.sent", unit="By", description="Bytes of answers")
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
