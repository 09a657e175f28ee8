"""The proxies that are compared, each as a process with one event loop between the same client and the same peer."""

from __future__ import annotations

from bench.proxies import envoy, haproxy, nginx, ours
from bench.proxies.proxy import Missing, Proxy, Where

__all__ = ["ALL", "OWN", "Missing", "Proxy", "Where"]

OWN = (ours.RELAY, ours.PLAIN)
ALL = (*OWN, nginx.NGINX, haproxy.HAPROXY, envoy.ENVOY)
