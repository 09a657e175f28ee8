"""The gRPC server that every process of the mesh runs: health, reflection, errors, limits and a graceful end.

Needs the `mesh` extra (grpcio-health-checking, grpcio-reflection).
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import grpc.aio
from grpc_health.v1 import health as _health_module
from grpc_health.v1 import health_pb2 as _health_pb2
from grpc_health.v1 import health_pb2_grpc as _health_pb2_grpc
from grpc_reflection.v1alpha import reflection as _reflection

from automarket.errors import StateError
from automarket.rpc.channel import KEEPALIVE_OPTIONS, MAX_MESSAGE_BYTES, is_local
from automarket.rpc.interceptor import CallInterceptor

if TYPE_CHECKING:
    from collections.abc import Sequence

# These packages carry no types.
health: Any = cast("Any", _health_module)
health_pb2: Any = cast("Any", _health_pb2)
health_pb2_grpc: Any = cast("Any", _health_pb2_grpc)
reflection: Any = cast("Any", _reflection)

_OPTIONS: tuple[tuple[str, Any], ...] = (
    *KEEPALIVE_OPTIONS,
    ("grpc.http2.min_ping_interval_without_data_ms", 500),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 16 * 1024),
    # A port that is taken is an error, not a share of somebody else's calls.
    ("grpc.so_reuseport", 0),
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
        reflect: bool = True,
    ) -> None:
        self._addresses = addresses
        self._services = services
        self._allow_network = allow_network
        self.grpc = grpc.aio.server(
            interceptors=[CallInterceptor()], options=_OPTIONS, maximum_concurrent_rpcs=max_concurrent_calls
        )
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.grpc)
        if reflect:
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
            await self.set_serving(name, serving=True)
        return bound

    def _bind(self, address: str) -> str:
        if not self._allow_network and not is_local(address):
            raise StateError(
                f"refusing to listen on {address}: nothing there is encrypted or checked",
                hint="listen on 127.0.0.1, or say --insecure",
            )
        if address.startswith("unix:"):
            path = Path(address.removeprefix("unix:"))
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        try:
            port = self.grpc.add_insecure_port(address)
        except RuntimeError:
            raise StateError(f"cannot listen on {address}", hint="is something else listening there?") from None
        if address.startswith("unix:"):
            Path(address.removeprefix("unix:")).chmod(0o600)
            return address
        return f"{address.rpartition(':')[0]}:{port}"

    async def set_serving(self, service: str, *, serving: bool) -> None:
        """Say in grpc.health.v1 whether a service takes work."""
        states = health_pb2.HealthCheckResponse
        await self._health.set(service, states.SERVING if serving else states.NOT_SERVING)

    async def drain(self, grace: float) -> None:
        """Take no new calls, let those under way finish for up to `grace` seconds, then stop."""
        await self._health.enter_graceful_shutdown()
        await self.grpc.stop(grace)
