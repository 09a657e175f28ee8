"""What carries requests to a backend that works on one answer for as long as it takes, and says nothing meanwhile."""

from __future__ import annotations

import socket

import httpx

_CONNECT_SECONDS = 5.0

# A host that is lost sends no end of the connection: it is asked whether it is still there, from 15 s of silence on.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
)


def make_http(transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """Make a client: no proxy, no connection kept for later, no limit to the wait for an answer."""
    carrier = transport or httpx.AsyncHTTPTransport(
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0), socket_options=list(_KEEPALIVE)
    )
    return httpx.AsyncClient(transport=carrier, timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS), trust_env=False)
