"""MediaProviderService through the gateway: calls every instance of a provider, or one, and adds up the answers."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from automarket.errors import (
    AutoMarketError,
    ProviderUnavailable,
    ProviderUnknown,
    RequestUnknown,
    UnavailableError,
)
from automarket.rpc.channel import errors_mapped, open_channel
from automarket.rpc.telemetry import inject
from automarket.v1 import media_provider_service_pb2 as pb
from automarket.v1.media_provider_service_pb2_grpc import MediaProviderServiceServicer, MediaProviderServiceStub
from gateway.control.routes import reachable_address

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from automarket.v1.media_provider_service_pb2_grpc import MediaProviderServiceAsyncStub
    from gateway.control.entries import InstanceEntry
    from gateway.control.registry import Registry

CALL_SECONDS = 30.0
CREATE_SECONDS = 600.0


@asynccontextmanager
async def _calling(instance: InstanceEntry) -> AsyncGenerator[MediaProviderServiceAsyncStub]:
    """Give a stub of one instance; calls here are rare, so each has a connection of its own."""
    with errors_mapped({"instance": instance.instance_id}):
        async with open_channel(reachable_address(instance)) as channel:
            stub: MediaProviderServiceAsyncStub = MediaProviderServiceStub(channel)
            yield stub


class ProviderServicer(MediaProviderServiceServicer):
    """Answers for all providers."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def _instances(self, provider_id: str, instance_id: str = "") -> list[InstanceEntry]:
        if not provider_id:
            raise ProviderUnknown("the request names no provider", fields={"provider_id": "required"})
        return self._registry.instances(provider_id, instance_id)

    async def GetProvider(self, request: pb.GetProviderRequest, context: Any) -> pb.GetProviderResponse:
        """Describe a provider from the registry."""
        return pb.GetProviderResponse(provider=self._registry.provider(request.provider_id).describe())

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        """List a provider's models from the registry."""
        return pb.ListModelsResponse(models=self._registry.provider(request.provider_id).models)

    async def Configure(self, request: pb.ConfigureRequest, context: Any) -> pb.ConfigureResponse:
        """Configure the instances one after another, so that a refusal stops before the others take it."""
        changed: set[str] = set()
        instances = self._instances(request.provider_id, request.instance_id)
        for instance in instances:
            async with _calling(instance) as stub:
                answer = await stub.Configure(request, metadata=inject(), timeout=CALL_SECONDS)
            changed.update(answer.changed)
        return pb.ConfigureResponse(changed=sorted(changed), instance_count=len(instances))

    async def StartService(
        self, request: pb.StartServiceRequest, context: Any
    ) -> AsyncIterator[pb.StartServiceResponse]:
        """Start the backends of all instances at once and mix their states."""
        states: asyncio.Queue[pb.StartServiceResponse | None] = asyncio.Queue(maxsize=16)

        async def follow(instance: InstanceEntry) -> None:
            try:
                async with _calling(instance) as stub:
                    async for state in stub.StartService(request, metadata=inject()):
                        state.instance_id = instance.instance_id
                        await states.put(state)
            finally:
                await states.put(None)

        tasks = [asyncio.create_task(follow(one)) for one in self._instances(request.provider_id, request.instance_id)]
        try:
            running = len(tasks)
            while running:
                state = await states.get()
                running -= state is None
                if state is not None:
                    yield state
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def StopService(self, request: pb.StopServiceRequest, context: Any) -> pb.StopServiceResponse:
        """Stop the backends of all instances."""
        answers: list[pb.StopServiceResponse] = []
        for instance in self._instances(request.provider_id, request.instance_id):
            async with _calling(instance) as stub:
                answers.append(await stub.StopService(request, metadata=inject()))
        return pb.StopServiceResponse(status=_sum([answer.status for answer in answers]))

    async def GetServiceStatus(self, request: pb.GetServiceStatusRequest, context: Any) -> pb.GetServiceStatusResponse:
        """Ask all instances; one that does not answer is shown as failed."""
        instances = self._instances(request.provider_id, request.instance_id)
        statuses = await asyncio.gather(*(self._status(instance, request) for instance in instances))
        shown = [
            pb.InstanceStatus(instance_id=instance.instance_id, status=status)
            for instance, status in zip(instances, statuses, strict=True)
        ]
        return pb.GetServiceStatusResponse(status=_sum(statuses), instances=shown)

    async def _status(self, instance: InstanceEntry, request: pb.GetServiceStatusRequest) -> pb.ServiceStatus:
        try:
            async with _calling(instance) as stub:
                answer = await stub.GetServiceStatus(request, metadata=inject(), timeout=CALL_SECONDS)
        except AutoMarketError as error:
            return pb.ServiceStatus(state=pb.SERVICE_STATE_FAILED, error=error.message, hint=error.hint or "")
        return answer.status

    async def GetDiagnostics(self, request: pb.GetDiagnosticsRequest, context: Any) -> pb.GetDiagnosticsResponse:
        """Ask the instances in turn until one remembers the call."""
        silent: AutoMarketError | None = None
        for instance in self._instances(request.provider_id):
            try:
                async with _calling(instance) as stub:
                    return await stub.GetDiagnostics(request, metadata=inject(), timeout=CALL_SECONDS)
            except RequestUnknown:
                continue
            except UnavailableError as error:  # another one may remember
                silent = error
        message = f"no instance of {request.provider_id} remembers the call {request.request_id!r}"
        raise silent or RequestUnknown(message, hint="only the last 256 calls of an instance are kept, in memory")

    async def ListVoices(self, request: pb.ListVoicesRequest, context: Any) -> pb.ListVoicesResponse:
        """Ask one instance; the next one where it does not answer: voices are the provider's, not the instance's."""
        silent: AutoMarketError | None = None
        for instance in self._instances(request.provider_id):
            try:
                async with _calling(instance) as stub:
                    return await stub.ListVoices(request, metadata=inject(), timeout=_left(context, CALL_SECONDS))
            except UnavailableError as error:
                silent = _if_lost(error)
        raise silent or ProviderUnavailable(f"no instance of {request.provider_id} answers")

    async def CreateVoice(self, request: pb.CreateVoiceRequest, context: Any) -> pb.CreateVoiceResponse:
        """Ask one instance: for equal request_ids the same one, which knows what it has made."""
        instances = self._instances(request.provider_id)
        chosen = max(instances, key=lambda one: _weight(one.instance_id, request.request_id))
        async with _calling(chosen) as stub:
            return await stub.CreateVoice(request, metadata=inject(), timeout=_left(context, CREATE_SECONDS))

    async def DeleteVoice(self, request: pb.DeleteVoiceRequest, context: Any) -> pb.DeleteVoiceResponse:
        """Ask all instances: each forgets what it has made, and all but the first find the voice gone."""
        silent: list[AutoMarketError] = []
        instances = self._instances(request.provider_id)
        for instance in instances:
            try:
                async with _calling(instance) as stub:
                    await stub.DeleteVoice(request, metadata=inject(), timeout=_left(context, CALL_SECONDS))
            except UnavailableError as error:
                silent.append(_if_lost(error))
        if len(silent) == len(instances):
            raise silent[0]
        return pb.DeleteVoiceResponse()


def _if_lost(error: UnavailableError) -> UnavailableError:
    """Give the error of an instance that did not answer; raise one that an instance has answered with."""
    if "retry" in error.metadata:  # every server of the mesh sends it with its errors
        raise error
    return error


def _left(context: Any, most: float) -> float:
    """Give how long an instance may take: as long as the caller waits, where that is less."""
    left: float | None = context.time_remaining()
    return most if left is None else min(left, most)


def _weight(instance_id: str, request_id: str) -> bytes:
    """Give the weight of an instance for a request: the heaviest stays so while others come and go."""
    return hashlib.sha256(f"{instance_id} {request_id}".encode()).digest()


def _sum(statuses: list[pb.ServiceStatus]) -> pb.ServiceStatus:
    """Add up: the healthiest instance speaks for the provider."""
    best = max(statuses, key=lambda status: (status.healthy, status.running))
    total = pb.ServiceStatus()
    total.CopyFrom(best)
    total.running = any(status.running for status in statuses)
    total.healthy = any(status.healthy for status in statuses)
    return total
