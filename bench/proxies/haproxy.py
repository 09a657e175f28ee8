"""HAProxy with one thread, HTTP/2 on both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.proxies.proxy import Missing, Proxy, find, version_of, write

if TYPE_CHECKING:
    from bench.proxies.proxy import Where

CONFIG = """\
global
  nbthread 1
  maxconn 8192
  tune.bufsize 131072
  tune.h2.initial-window-size 1048576
  tune.h2.max-concurrent-streams 4096
  tune.h2.max-frame-size 65536

defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-request 1h
  timeout http-keep-alive 1h
  timeout tunnel 1h
  option http-no-delay

frontend calls
  bind {listen} proto h2
  default_backend peer

backend peer
  http-reuse always
  server peer {upstream} proto h2 pool-max-conn 1024
"""


def _find() -> str:
    try:
        return find("haproxy")
    except Missing:
        raise Missing("HAProxy is not installed: apt install haproxy") from None


def _command(where: Where) -> list[str]:
    listen, upstream = (address.replace("unix:", "unix@", 1) for address in (where.listen, where.upstream))
    path = write(where.folder, "haproxy.cfg", CONFIG.format(listen=listen, upstream=upstream))
    return [_find(), "-db", "-q", "-f", path]


HAPROXY = Proxy("haproxy", "HAProxy", lambda: version_of(_find(), "-v"), _command)
