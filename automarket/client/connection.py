"""The connection to one mesh: a channel, its stubs, and failures as errors that say which mesh is meant."""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import grpc.aio

from automarket.client.direct import DIRECT_ABOVE, Direct
from automarket.errors import MeshUnreachable, UnavailableError
from automarket.rpc.channel import open_channel
from automarket.rpc.status import from_rpc_error
from automarket.rpc.telemetry import inject
from automarket.v1.discovery_service_pb2_grpc import DiscoveryServiceStub
from automarket.v1.job_service_pb2_grpc import JobServiceStub
from automarket.v1.media_provider_service_pb2_grpc import MediaProviderServiceStub
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from automarket.v1.usage_service_pb2_grpc import UsageServiceStub

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterable

    from automarket.v1.discovery_service_pb2_grpc import DiscoveryServiceAsyncStub
    from automarket.v1.job_service_pb2_grpc import JobServiceAsyncStub
    from automarket.v1.media_provider_service_pb2_grpc import MediaProviderServiceAsyncStub
    from automarket.v1.model_service_pb2_grpc import ModelServiceAsyncStub
    from automarket.v1.usage_service_pb2_grpc import UsageServiceAsyncStub

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

ASK_SECONDS = 30.0
"""How long a question about the mesh may take."""


class Connection:
    """A channel that is opened when it is first used, in the event loop that uses it.

    Attributes:
        direct: finds the way past the gateway, for what has more than `direct_above` bytes.
    """

    def __init__(self, address: str, direct_above: int | None = DIRECT_ABOVE) -> None:
        self.address = address
        self.direct = Direct(address, direct_above)

    @cached_property
    def channel(self) -> grpc.aio.Channel:
        """The channel."""
        return open_channel(self.address)

    @cached_property
    def models(self) -> ModelServiceAsyncStub:
        """Calls of ModelService."""
        return ModelServiceStub(self.channel)

    @cached_property
    def discovery(self) -> DiscoveryServiceAsyncStub:
        """Calls of DiscoveryService."""
        return DiscoveryServiceStub(self.channel)

    @cached_property
    def providers(self) -> MediaProviderServiceAsyncStub:
        """Calls of MediaProviderService."""
        return MediaProviderServiceStub(self.channel)

    @cached_property
    def jobs(self) -> JobServiceAsyncStub:
        """Calls of JobService."""
        return JobServiceStub(self.channel)

    @cached_property
    def usage(self) -> UsageServiceAsyncStub:
        """Calls of UsageService."""
        return UsageServiceStub(self.channel)

    async def close(self) -> None:
        """Close the channel, and those past the gateway; calls under way are cancelled."""
        await self.direct.close()
        if "channel" in self.__dict__:
            await self.channel.close()

    @contextlib.contextmanager
    def errors(self) -> Generator[None]:
        """Raise what fails inside as an AutoMarketError; where nobody answers, say at which address."""
        try:
            yield
        except grpc.aio.AioRpcError as error:
            raise self._explained(from_rpc_error(error)) from None
        except UnavailableError as error:
            raise self._explained(error) from None

    def _explained(self, error: Exception) -> Exception:
        # Every server of the mesh sends ErrorInfo, which always says `retry`: without it nobody answered.
        if type(error) is not UnavailableError or "retry" in error.metadata:
            return error
        if "failed to connect" in error.message.lower():
            return MeshUnreachable(f"no mesh is running at {self.address}", hint="automarket up")
        if "resolving" in error.message.lower():
            return MeshUnreachable(
                f"there is no machine of that name: {self.address}", hint="an address is host:port or unix:/path"
            )
        return MeshUnreachable(
            f"the connection to the mesh at {self.address} broke", hint="see whether it still runs: automarket status"
        )

    async def ask(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT],
        request: RequestT,
        metadata: Iterable[tuple[str, str]] = (),
        timeout: float | None = None,
    ) -> ResponseT:
        """Make a unary call.

        Raises:
            AutoMarketError: the call failed.
        """
        with self.errors():
            return await method(request, metadata=inject(metadata), timeout=timeout or ASK_SECONDS)

    async def follow(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[RequestT, ResponseT],
        request: RequestT,
        timeout: float | None = None,
    ) -> AsyncGenerator[ResponseT]:
        """Make a call whose answers come one by one; leaving the iteration cancels it.

        Raises:
            AutoMarketError: the call failed.
        """
        call = method(request, metadata=inject(), timeout=timeout)
        try:
            with self.errors():
                async for response in call:
                    yield response
        finally:
            call.cancel()
