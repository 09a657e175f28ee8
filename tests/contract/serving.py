"""Serving a provider to the checks of the contract: called directly, or through the public port of a mesh."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

from automarket.rpc.channel import errors_mapped, open_channel
from automarket.v1 import model_service_pb2 as pb
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from provider_servers.runtime.testing import PATIENCE_SECONDS, Served, serving
from tests.support.gateway import until_true

if TYPE_CHECKING:
    from tests.support.gateway import Processes


class NamingChannel:
    """A channel whose calls say in metadata which provider they are for."""

    def __init__(self, channel, provider_id: str) -> None:
        self._channel = channel
        self._metadata = (("automarket-provider", provider_id),)

    def __getattr__(self, kind):
        make = getattr(self._channel, kind)

        def made(*args, **kwargs):
            return functools.partial(make(*args, **kwargs), metadata=self._metadata)

        return made


class ThroughGateway(Served):
    """A provider that is called through the public port.

    The target in a call's first message says where it goes. Calls that break the contract by having none say it in
    metadata, as our own client always does: they are meant to reach the provider.
    """

    def __init__(self, direct: Served, channel) -> None:
        super().__init__(direct.provider, direct.server, channel)
        self._named = Served(direct.provider, direct.server, NamingChannel(channel, direct.provider.id))

    def stream(self, first, chunks=None, timeout=PATIENCE_SECONDS):
        if first.HasField("target"):
            return super().stream(first, chunks, timeout)
        return self._named.stream(first, chunks, timeout)

    async def send_nothing(self):
        await self._named.send_nothing()


@contextlib.asynccontextmanager
async def serving_through(mesh: Processes, provider):
    """Serve a provider that registers with a mesh; give it as callers of the public port see it."""
    async with serving(provider, mesh.control) as direct, open_channel(mesh.public) as channel:

        async def answers():
            request = pb.GetModelRequest()
            request.target.provider = provider.id
            request.target.instance_id = direct.server.describe().instance_id
            with errors_mapped():
                return await ModelServiceStub(channel).GetModel(request)

        await until_true(answers, 10, f"{provider.id} is served")
        yield ThroughGateway(direct, channel)
