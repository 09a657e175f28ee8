"""The public address: taken from nobody, and beyond this machine only when that was said aloud."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from automarket.errors import StateError
from automarket.sockets import claimed

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.relay.settings import RelaySettings

_BACKLOG: Final = 1024
_LOOPBACK: Final = ("localhost", "::1")


async def listen(settings: RelaySettings, accept: Callable[[], asyncio.BaseProtocol]) -> asyncio.Server:
    """Listen at the public address.

    Raises:
        StateError: it is taken, no address, or beyond this machine without `insecure`.
    """
    loop = asyncio.get_running_loop()
    address = settings.listen
    make = cast("Callable[[], asyncio.Protocol]", accept)  # typeshed knows no buffered protocols here
    try:
        if address.startswith("unix:"):
            path = address.removeprefix("unix:")
            with claimed(path):
                return await loop.create_unix_server(make, path, backlog=_BACKLOG)
        host, port = _host_and_port(address)
        if not settings.insecure and host not in _LOOPBACK and not host.startswith("127."):
            raise StateError(
                f"refusing to listen on {address}: nothing there is encrypted or checked",
                hint="listen on 127.0.0.1, or say --insecure",
            )
        return await loop.create_server(make, host, port, reuse_port=settings.reuse_port or None, backlog=_BACKLOG)
    except OSError as error:
        raise StateError(
            f"cannot listen on {address}: {error.strerror or error}", hint="is something else listening there?"
        ) from None


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise StateError(f"{address[:100]} is no address", hint="give host:port or unix:/path")
    return host.strip("[]"), int(port)
