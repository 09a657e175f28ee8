"""The gRPC server that every process of the mesh runs: health, reflection, errors, limits and a graceful end.

Needs the `mesh` extra (grpcio-health-checking, grpcio-reflection).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import grpc.aio
from grpc_reflection.v1alpha import reflection as _reflection

from automarket.errors import StateError
from automarket.rpc import health
from automarket.rpc.channel import KEEPALIVE_OPTIONS, MAX_MESSAGE_BYTES, is_local
from automarket.rpc.interceptor import CallInterceptor
from automarket.sockets import claimed

if TYPE_CHECKING:
    from collections.abc import Sequence

reflection: Any = cast("Any", _reflection)  # it carries no types

_OPTIONS: tuple[tuple[str, Any], ...] = (
    *KEEPALIVE_OPTIONS,
    # Clients may ask every half second whether we live; by default gRPC hangs up on such a client.
    ("grpc.http2.min_ping_interval_without_data_ms", 500),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 16 * 1024),
)


class RpcServer:
    """One server. Add services to `grpc` with the generated functions, then start it.

    Args:
        addresses: where to listen: "unix:/path", "127.0.0.1:0" and the like.
        services: full names of the services, for health and reflection.
        allow_network: whether addresses beyond this machine are allowed; there is no encryption yet.
        max_concurrent_calls: one call more is RESOURCE_EXHAUSTED; None is no bound.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        services: Sequence[str],
        *,
        allow_network: bool = False,
        max_concurrent_calls: int | None = None,
    ) -> None:
        self._addresses = addresses
        self._services = services
        self._allow_network = allow_network
        self.grpc = grpc.aio.server(
            interceptors=[CallInterceptor()],
            options=(*_OPTIONS, ("grpc.so_reuseport", 0)),
            maximum_concurrent_rpcs=max_concurrent_calls,
        )
        self._health = health.HealthServicer()
        health.add_to_server(self._health, self.grpc)
        names = (*services, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self.grpc)

    async def start(self) -> list[str]:
        """Listen; give the addresses with the ports that were taken.

        Raises:
            StateError: an address is not on this machine and the network was not allowed, or it cannot be had.
        """
        bound = [self._bind(address) for address in self._addresses]
        await self.grpc.start()
        for name in ("", *self._services):
            self.set_serving(name, serving=True)
        return bound

    def _bind(self, address: str) -> str:
        if not self._allow_network and not is_local(address):
            raise StateError(
                f"refusing to listen on {address}: nothing there is encrypted or checked",
                hint="listen on 127.0.0.1, or say --insecure",
            )
        try:
            if address.startswith("unix:"):
                with claimed(address.removeprefix("unix:")):
                    self.grpc.add_insecure_port(address)
                return address
            port = self.grpc.add_insecure_port(address)
        except RuntimeError:
            raise StateError(f"cannot listen on {address}", hint="is something else listening there?") from None
        return f"{address.rpartition(':')[0]}:{port}"

    def set_serving(self, name: str, *, serving: bool) -> None:
        """Say in grpc.health.v1 whether a service, provider or capability takes work."""
        self._health.set(name, serving=serving)

    async def drain(self, grace: float) -> None:
        """Take no new calls, let those under way finish for up to `grace` seconds, then cancel the rest and stop."""
        self._health.end()
        await self.grpc.stop(grace)
