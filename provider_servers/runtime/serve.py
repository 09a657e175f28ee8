"""Serving a provider: the one call that a provider's process makes."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from functools import partial
from typing import TYPE_CHECKING

from automarket.rpc.channel import is_local
from automarket.rpc.process import run_server
from automarket.rpc.server import RpcServer
from automarket.service_status import to_proto
from automarket.v1 import endpoint_pb2, registry_service_pb2
from automarket.v1.media_provider_service_pb2_grpc import add_MediaProviderServiceServicer_to_server
from automarket.v1.model_service_pb2_grpc import add_ModelServiceServicer_to_server
from provider_servers.runtime.descriptors import provider_to_proto
from provider_servers.runtime.host import Host
from provider_servers.runtime.model_service import ModelServicer
from provider_servers.runtime.provider_service import ProviderServicer
from provider_servers.runtime.registration import Registration
from provider_servers.runtime.watching import follow_service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provider_servers.runtime.describe import Provider
    from provider_servers.runtime.settings import ProviderServerSettings

SERVICES = ("automarket.v1.MediaProviderService", "automarket.v1.ModelService")


class ProviderServer:
    """One provider, served on some addresses and registered with some gateways."""

    def __init__(
        self,
        provider: Provider,
        listen: Sequence[str],
        registries: Sequence[str] = (),
        *,
        instance_id: str = "",
        allow_network: bool = False,
    ) -> None:
        self._provider = provider
        self._generation = int(time.time() * 1000)
        self._addresses: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._host = Host(provider, instance_id or f"{provider.id}-{uuid.uuid4().hex[:8]}", self._tell_change)
        self._server = RpcServer(listen, SERVICES, allow_network=allow_network)
        add_ModelServiceServicer_to_server(ModelServicer(self._host), self._server.grpc)
        add_MediaProviderServiceServicer_to_server(ProviderServicer(self._host), self._server.grpc)
        self._registrations = [
            Registration(
                address,
                self.describe,
                load=self._load,
                models=self._models,
                service=lambda: self._host.service,
                confirmed=partial(self._confirmed, address),
            )
            for address in registries
        ]
        self._watch: asyncio.Task[None] | None = None
        provider.when_models_change(self._tell_models)

    @property
    def active_calls(self) -> int:
        """Calls that hold a place or wait for one."""
        return self._host.places.active + self._host.places.queued

    async def start(self) -> list[str]:
        """Open the provider, serve and register; give the addresses."""
        self._host.availability = await asyncio.to_thread(type(self._provider).availability)
        await self._provider.open()
        self._addresses = await self._server.start()
        self._watch = asyncio.create_task(follow_service(self._host, self._tell_change))
        self._tasks = [asyncio.create_task(one.run()) for one in self._registrations]
        return self._addresses

    async def wait(self, stop: asyncio.Event) -> None:
        """Wait until the event is set, or until a registry refuses this server for good, which is raised."""
        stopping = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait({stopping, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()
        finally:
            stopping.cancel()

    async def stop(self, grace: float) -> None:
        """Take no new calls, let those under way finish, leave the mesh, close the provider."""
        joined = (one for one, task in zip(self._registrations, self._tasks, strict=False) if not task.done())
        await asyncio.gather(*(one.say_goodbye() for one in joined))
        await self._server.drain(grace)
        await self._host.settle()
        running = [*self._tasks, *([self._watch] if self._watch else [])]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._host.accounts.close()
        await self._host.store.close()
        await self._provider.close()

    def _tell_change(self) -> None:
        for registration in self._registrations:
            registration.changed()

    def _tell_models(self) -> None:
        for registration in self._registrations:
            registration.models_changed()

    def _models(self) -> registry_service_pb2.ModelList:
        return registry_service_pb2.ModelList(models=self._host.models.now().models)

    def _load(self) -> registry_service_pb2.InstanceLoad:
        places = self._host.places
        return registry_service_pb2.InstanceLoad(active_calls=places.active, queued_calls=places.queued)

    async def _confirmed(self, registry: str, confirmed: registry_service_pb2.RegistrationConfirmed) -> None:
        self._host.accounts.confirmed(registry, budgets=confirmed.budgets)
        if confirmed.HasField("asset_store") or len(self._registrations) == 1:  # another gateway may have one
            await self._host.store.point_to(confirmed.asset_store)

    def describe(self) -> registry_service_pb2.Registration:
        """Give what this server tells a registry of itself."""
        return registry_service_pb2.Registration(
            instance_id=self._host.instance_id,
            generation=self._generation,
            endpoints=[_endpoint(address) for address in self._addresses],
            provider=provider_to_proto(self._provider, self._host.availability),
            models=self._host.models.now().models,
            max_concurrent_calls=self._provider.max_concurrent_calls,
            service=None if self._host.service is None else to_proto(self._host.service),
        )


def _endpoint(address: str) -> endpoint_pb2.Endpoint:
    scope = endpoint_pb2.ENDPOINT_SCOPE_NETWORK
    if address.startswith("unix:"):
        scope = endpoint_pb2.ENDPOINT_SCOPE_UNIX
    elif is_local(address):
        scope = endpoint_pb2.ENDPOINT_SCOPE_HOST
    return endpoint_pb2.Endpoint(scope=scope, address=address)


def serve(provider: Provider, settings: ProviderServerSettings) -> int:
    """Serve a provider until the process is told to stop; gives the exit code."""

    async def run(stop: asyncio.Event) -> None:
        server = ProviderServer(
            provider,
            settings.listen,
            settings.registry,
            instance_id=settings.instance_id or f"{provider.id}-{os.getpid()}-{uuid.uuid4().hex[:4]}",
            allow_network=settings.insecure,
        )
        try:
            await server.start()
            await server.wait(stop)
        finally:
            await server.stop(settings.grace_seconds)

    return run_server(f"provider-{provider.id}", run)
