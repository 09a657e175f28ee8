"""Run control: python -P -m gateway.control --listen unix:/p --routes unix:/q [--store ADDRESS] ..."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from automarket.rpc import telemetry
from automarket.rpc.channel import is_local
from automarket.rpc.process import run_server
from automarket.rpc.server import RpcServer
from automarket.v1 import (
    asset_service_pb2,
    discovery_service_pb2,
    endpoint_pb2,
    job_service_pb2,
    media_provider_service_pb2,
    model_service_pb2,
    registry_service_pb2,
    usage_service_pb2,
)
from automarket.v1.discovery_service_pb2_grpc import add_DiscoveryServiceServicer_to_server
from automarket.v1.job_service_pb2_grpc import add_JobServiceServicer_to_server
from automarket.v1.media_provider_service_pb2_grpc import add_MediaProviderServiceServicer_to_server
from automarket.v1.model_service_pb2_grpc import add_ModelServiceServicer_to_server
from automarket.v1.registry_service_pb2_grpc import add_RegistryServiceServicer_to_server
from automarket.v1.usage_service_pb2_grpc import add_UsageServiceServicer_to_server
from gateway.control.database import Database
from gateway.control.discovery_service import DiscoveryServicer
from gateway.control.jobs.job_service import JobServicer
from gateway.control.jobs.jobs import Jobs
from gateway.control.jobs.model_service import FollowedModels
from gateway.control.known import read_known
from gateway.control.provider_service import ProviderServicer
from gateway.control.registry import Registry
from gateway.control.registry_service import RegistryServicer
from gateway.control.reports import Reports
from gateway.control.routes import Routes
from gateway.control.schema import MIGRATIONS
from gateway.control.settings import ControlSettings
from gateway.control.usage.ledger import Ledger
from gateway.control.usage.usage_service import UsageServicer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# What a client sees through the gateway: reflection describes all of it, wherever it is served.
_PUBLIC = tuple(
    service
    for file in (
        asset_service_pb2,
        discovery_service_pb2,
        job_service_pb2,
        media_provider_service_pb2,
        model_service_pb2,
        usage_service_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
)
PUBLIC_SERVICES = tuple(service.full_name for service in _PUBLIC)
PUBLIC_METHODS = (
    *(f"/{service.full_name}/{method.name}" for service in _PUBLIC for method in service.methods),
    *(f"/grpc.health.v1.Health/{name}" for name in ("Check", "List", "Watch")),
    *(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")),
)
GRACE_SECONDS = 2.0
DATABASE_NAME = "control.db"


def store_location(settings: ControlSettings) -> registry_service_pb2.AssetStoreLocation | None:
    """Say where the asset store is, for provider servers."""
    if not settings.store:
        return None
    unix, host, network = (
        endpoint_pb2.ENDPOINT_SCOPE_UNIX,
        endpoint_pb2.ENDPOINT_SCOPE_HOST,
        endpoint_pb2.ENDPOINT_SCOPE_NETWORK,
    )
    scope = unix if settings.store.startswith("unix:") else host if is_local(settings.store) else network
    endpoint = endpoint_pb2.Endpoint(scope=scope, address=settings.store)
    return registry_service_pb2.AssetStoreLocation(endpoints=[endpoint], content_directory=settings.content_directory)


def control(settings: ControlSettings) -> Callable[[asyncio.Event], Awaitable[None]]:
    """Give what runs control until an event is set."""

    async def run(stop: asyncio.Event) -> None:
        registry = Registry(settings.remember_seconds, settings.settle_seconds)
        if settings.known_providers is not None:
            registry.know(read_known(settings.known_providers))
        reports = Reports(PUBLIC_METHODS) if telemetry.is_exporting() else None
        routes = Routes(registry, control=settings.listen, asset_store=settings.store, reports=reports)
        file = settings.data_dir / DATABASE_NAME if settings.data_dir is not None else None
        database = await asyncio.to_thread(Database, file, MIGRATIONS)
        ledger = Ledger(database, settings.spending())
        jobs = Jobs(ledger, registry, routes, settings)
        server = RpcServer([settings.listen], PUBLIC_SERVICES, allow_network=settings.insecure)
        add_RegistryServiceServicer_to_server(RegistryServicer(registry, store_location(settings), ledger), server.grpc)
        add_DiscoveryServiceServicer_to_server(DiscoveryServicer(registry, routes), server.grpc)
        add_MediaProviderServiceServicer_to_server(ProviderServicer(registry), server.grpc)
        add_JobServiceServicer_to_server(JobServicer(jobs.runner, jobs.intake, registry), server.grpc)
        add_ModelServiceServicer_to_server(FollowedModels(jobs.runner, jobs.intake, settings.store), server.grpc)
        add_UsageServiceServicer_to_server(UsageServicer(ledger, registry), server.grpc)
        await jobs.start()
        await server.start()
        await routes.serve(settings.routes.removeprefix("unix:"))
        await stop.wait()
        routes.close()
        registry.close()
        await jobs.close()
        await server.drain(GRACE_SECONDS)
        await database.close()

    return run


if __name__ == "__main__":
    settings = ControlSettings(_cli_parse_args=True)  # pyright: ignore[reportCallIssue] - fields come from outside
    raise SystemExit(run_server("control", control(settings)))
