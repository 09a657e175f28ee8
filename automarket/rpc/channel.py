"""Channels: how everything here connects to a server."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import grpc.aio

from automarket.rpc.status import from_rpc_error

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

MAX_MESSAGE_BYTES = 4 * 1024 * 1024 + 64 * 1024

KEEPALIVE_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.keepalive_time_ms", 2000),
    ("grpc.keepalive_timeout_ms", 1000),
    # Without this one a frozen peer is noticed after a minute, whatever the keepalive time-out says.
    ("grpc.http2.ping_timeout_ms", 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)

_CLIENT_OPTIONS: tuple[tuple[str, Any], ...] = (
    *KEEPALIVE_OPTIONS,
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", -1),
    # A server that restarts is reached again at once, not after the default of up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # In truth how long one attempt to connect may take; a busy or distant server needs more than 100 ms.
    ("grpc.min_reconnect_backoff_ms", 3000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Every channel has its own connection: one closing must not disturb another.
    ("grpc.use_local_subchannel_pool", 1),
)


def is_local(address: str) -> bool:
    """Tell whether an address is a Unix socket or on loopback."""
    host = address.rpartition(":")[0].strip("[]")
    return address.startswith("unix:") or host in ("localhost", "::1") or host.startswith("127.")


def open_channel(address: str) -> grpc.aio.Channel:
    """Open a channel to "unix:/path" or "host:port". Connects when it is first used."""
    options = list(_CLIENT_OPTIONS)
    if is_local(address):
        options.append(("grpc.enable_http_proxy", 0))
    return grpc.aio.insecure_channel(address, options=options)


@contextlib.contextmanager
def errors_mapped(metadata: Mapping[str, str] | None = None) -> Generator[None]:
    """Raise what a call raises inside as the AutoMarketError that it stands for."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error, metadata) from None
