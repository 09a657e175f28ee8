"""The proxies that are compared, each as a process with one event loop between the same client and the same peer."""

from __future__ import annotations

from bench.proxies import envoy, haproxy, nginx
from bench.proxies.ours import PLAIN, RELAY
from bench.proxies.proxy import Missing, Proxy, Where

__all__ = ["ALL", "PLAIN", "RELAY", "Missing", "Proxy", "Where"]

ALL = (RELAY, PLAIN, nginx.NGINX, haproxy.HAPROXY, envoy.ENVOY)
