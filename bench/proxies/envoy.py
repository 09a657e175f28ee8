"""Envoy with one worker thread, HTTP/2 on both sides, no retries and no access log.

By default it takes a client for an attacker when 10,000 frames wait to be sent to it. Small messages flat out do come
to that, so the limit is raised.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bench.processes import ROOT, place
from bench.proxies.proxy import Missing, Proxy, find, version_of, write

if TYPE_CHECKING:
    from bench.proxies.proxy import Where

BIN = ROOT / ".cache" / "bench-envoy" / "bin"
TYPES = "type.googleapis.com/envoy.extensions"
MANY = 1_000_000
HTTP2 = {
    "max_concurrent_streams": 4096,
    "max_outbound_frames": MANY,
    "max_outbound_control_frames": MANY,
    "max_inbound_window_update_frames_per_data_frame_sent": MANY,
}
RUNTIME = {"overload.global_downstream_max_connections": MANY}
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def config(where: Where) -> dict[str, Any]:
    """Give the whole bootstrap configuration."""
    return {
        "static_resources": {"listeners": [_listener(where.listen)], "clusters": [_cluster(where.upstream)]},
        "layered_runtime": {"layers": [{"name": "bench", "static_layer": RUNTIME}]},
    }


def _listener(address: str) -> dict[str, Any]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "peer", "timeout": "0s"}}
    manager = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "calls",
        "codec_type": "HTTP2",
        "http2_protocol_options": HTTP2,
        "generate_request_id": False,
        "stream_idle_timeout": "0s",
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{TYPES}.filters.http.router.v3.Router"}}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    }
    filters = [{"name": "http", "typed_config": manager}]
    return {"name": "calls", "address": _address(address), "filter_chains": [{"filters": filters}]}


def _cluster(address: str) -> dict[str, Any]:
    options = {
        "@type": f"type.googleapis.com/{OPTIONS}",
        "explicit_http_config": {"http2_protocol_options": HTTP2},
    }
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), MANY)
    return {
        "name": "peer",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [limits]},
        "typed_extension_protocol_options": {OPTIONS: options},
        "load_assignment": {
            "cluster_name": "peer",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(address)}}]}],
        },
    }


def _address(address: str) -> dict[str, Any]:
    where = place(address)
    if isinstance(where, str):
        return {"pipe": {"path": where}}
    return {"socket_address": {"address": where[0], "port_value": where[1]}}


def _find() -> str:
    try:
        return find("envoy", str(BIN))
    except Missing:
        raise Missing("Envoy is not installed: run tools/bench_peers.sh") from None


def _command(where: Where) -> list[str]:
    path = write(where.folder, "envoy.json", json.dumps(config(where)))
    return [_find(), "-c", path, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]


ENVOY = Proxy("envoy", "Envoy", lambda: version_of(_find(), "--version"), _command)
