"""Run the public port: python -P -m gateway.forwarder --listen 127.0.0.1:50051 --routes unix:/p ..."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from automarket.rpc.process import run_server
from automarket.rpc.server import RpcServer
from gateway.forwarder.handler import ForwardingHandler
from gateway.forwarder.health import MeshHealth
from gateway.forwarder.settings import ForwarderSettings
from gateway.forwarder.upstreams import Upstreams
from gateway.relay.feed import RoutingFeed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.relay.table import Table

SERVICES = tuple(
    f"automarket.v1.{name}" for name in ("AssetService", "DiscoveryService", "MediaProviderService", "ModelService")
)


def addresses(table: Table) -> set[str]:
    """Give every address that the table names."""
    instances = {instance.address for provider in table.providers for instance in provider.instances}
    return instances | {table.control, table.asset_store}


def gateway(settings: ForwarderSettings) -> Callable[[asyncio.Event], Awaitable[None]]:
    """Give what runs the public port until an event is set."""

    async def run(stop: asyncio.Event) -> None:
        server = RpcServer(
            [settings.listen],
            SERVICES,
            allow_network=settings.insecure,
            max_concurrent_calls=settings.max_calls,
            share_port=settings.reuse_port,
            reflect=False,
        )
        health = MeshHealth(server.set_serving)
        upstreams = Upstreams()
        tidying: set[asyncio.Task[None]] = set()

        def take(table: Table) -> None:
            health.follow(table)
            task = asyncio.create_task(upstreams.keep_only(addresses(table)))
            tidying.add(task)
            task.add_done_callback(tidying.discard)

        async with RoutingFeed(settings.routes.removeprefix("unix:"), take) as feed:
            server.grpc.add_generic_rpc_handlers((ForwardingHandler(feed, upstreams),))
            await server.start()
            await stop.wait()
            await server.drain(settings.drain_seconds)
        await upstreams.close()

    return run


if __name__ == "__main__":
    settings = ForwarderSettings(_cli_parse_args=True)  # pyright: ignore[reportCallIssue] - fields come from outside
    raise SystemExit(run_server("gateway", gateway(settings)))
