"""A provider server written on the contract alone: a real server that does what a test's header asks for.

`model_options.do` of the header says what; see PeerModels. As a process: python -m tests.support.peer --listen ...
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from automarket.errors import AutoMarketError, HeaderMissing, OptionInvalid, RequestUnknown, SettingUnknown
from automarket.rpc.channel import open_channel
from automarket.rpc.process import run_server
from automarket.rpc.server import RpcServer
from automarket.v1 import (
    endpoint_pb2,
    media_pb2,
    media_provider_service_pb2,
    model_pb2,
    model_service_pb2,
    registry_service_pb2,
    transform_pb2,
)
from automarket.v1.media_provider_service_pb2_grpc import (
    MediaProviderServiceServicer,
    add_MediaProviderServiceServicer_to_server,
)
from automarket.v1.model_service_pb2_grpc import ModelServiceServicer, add_ModelServiceServicer_to_server
from automarket.v1.registry_service_pb2_grpc import RegistryServiceStub

if TYPE_CHECKING:
    from collections.abc import Callable

SERVICES = ("automarket.v1.ModelService", "automarket.v1.MediaProviderService")
ROLES = {"text": media_pb2.ROLE_TEXT, "speech": media_pb2.ROLE_SPEECH, "audio": media_pb2.ROLE_AUDIO}
REFUSAL = "speed is out of range"
TRAILERS = (("peer-trailer", "end"), ("peer-trailer-bin", b"\x00\x01\xff"))


def slot(name, role, **fields):
    return model_pb2.InputSlot(name=name, role=role, **fields)


def model(model_id="words", capability="speech-to-text", takes="speech", makes="text", **fields):
    """Describe a model; fields of the message override."""
    fields.setdefault("capabilities", [model_pb2.CapabilityRef(name=capability)])
    fields.setdefault("inputs", [slot(takes, ROLES[takes])])
    fields.setdefault("outputs", [model_pb2.OutputType(name=makes, role=ROLES[makes], streamed=True)])
    return model_pb2.Model(id=model_id, **fields)


def provider(provider_id="peer", **fields):
    fields.setdefault("kind", model_pb2.PROVIDER_KIND_LOCAL)
    return model_pb2.Provider(id=provider_id, name=provider_id.title(), **fields)


def endpoint(address):
    local = address.startswith("unix:")
    scope = endpoint_pb2.ENDPOINT_SCOPE_UNIX if local else endpoint_pb2.ENDPOINT_SCOPE_HOST
    return endpoint_pb2.Endpoint(scope=scope, address=address)


def registration(provider_id="peer", address="unix:/nowhere.sock", models=None, instance_id="", **fields):
    """Describe an instance; `provider` fields are given as provider=..."""
    fields.setdefault("provider", provider(provider_id))
    fields.setdefault("generation", 1)
    return registry_service_pb2.Registration(
        instance_id=instance_id or f"{provider_id}-1",
        endpoints=[endpoint(address)],
        models=[model()] if models is None else models,
        **fields,
    )


def _event(**what):
    return model_service_pb2.TransformResponse(event=transform_pb2.TransformEvent(**what))


def _facts(context, **more):
    pairs = [pair for pair in context.invocation_metadata() if isinstance(pair[1], str)]
    metadata = dict(pairs)
    assert len(metadata) == len(pairs), pairs
    binary = [key for key, value in context.invocation_metadata() if isinstance(value, bytes)]
    facts = {"metadata": metadata, "binary": binary, "left": context.time_remaining(), **more}
    return _event(progress=transform_pb2.Progress(phase="running", message=json.dumps(facts)))


class PeerModels(ModelServiceServicer):
    """Does what `do` says: echo, refuse, plain-..., quit, hang, wait."""

    def __init__(self, name: str, note: Callable[[str], None]) -> None:
        self.name = name
        self._note = note

    async def GetModel(self, request, context):
        return model_service_pb2.GetModelResponse(model=model(self.name))

    async def Transform(self, requests, context):
        first = await anext(requests, None)
        if first is None:
            raise HeaderMissing("no header")
        do = first.header.model_options["do"] or "echo"
        if do.startswith("plain-"):
            await context.abort(grpc.StatusCode[do.removeprefix("plain-")], "plain words")
        await context.send_initial_metadata((("peer-initial", self.name), ("peer-initial-bin", b"\x00\xff")))
        context.set_trailing_metadata(TRAILERS)
        self._note(f"begun {do}")
        try:
            async for response in getattr(self, f"_{do}")(requests, context):
                yield response
        except BaseException as error:
            self._note(f"{type(error).__name__} {do}")
            raise

    async def _echo(self, requests, context):
        yield _facts(context, peer=self.name)
        async for message in requests:
            yield _event(output_chunk=transform_pb2.OutputChunk(data=message.chunk.data))
        yield _event(finished=transform_pb2.Finished())

    async def _refuse(self, requests, context):
        raise OptionInvalid(REFUSAL, hint="0.5 to 2", fields={"header.speed": "0.5 to 2"}, metadata={"peer": self.name})
        yield

    async def _quit(self, requests, context):
        yield _event(finished=transform_pb2.Finished())

    async def _hang(self, requests, context):
        yield _facts(context, peer=self.name)
        await asyncio.sleep(60)

    async def _wait(self, requests, context):
        await asyncio.sleep(60)
        yield

    async def Generate(self, request, context):
        await context.send_initial_metadata((("peer-initial", self.name),))
        facts = _facts(context, peer=self.name, request_id=request.header.request_id)
        yield model_service_pb2.GenerateResponse(event=facts.event)


class PeerProvider(MediaProviderServiceServicer):
    """Answers about the one provider."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.settings: dict[str, object] = {}
        self.running = False
        pb = media_provider_service_pb2
        self._states = {False: pb.SERVICE_STATE_STOPPED, True: pb.SERVICE_STATE_READY}

    def _status(self):
        return media_provider_service_pb2.ServiceStatus(
            state=self._states[self.running], running=self.running, healthy=self.running
        )

    async def Configure(self, request, context):
        if "speed" in request.settings:
            raise SettingUnknown("no setting speed", fields={"settings.speed": "unknown"})
        changed = [key for key in request.settings if self.settings.get(key) != request.settings[key]]
        self.settings |= {key: request.settings[key] for key in request.settings}
        return media_provider_service_pb2.ConfigureResponse(changed=changed, instance_count=1)

    async def StartService(self, request, context):
        yield media_provider_service_pb2.StartServiceResponse(status=self._status())
        self.running = True
        yield media_provider_service_pb2.StartServiceResponse(status=self._status())

    async def StopService(self, request, context):
        self.running = False
        return media_provider_service_pb2.StopServiceResponse(status=self._status())

    async def GetServiceStatus(self, request, context):
        return media_provider_service_pb2.GetServiceStatusResponse(status=self._status())

    async def GetDiagnostics(self, request, context):
        if request.request_id != f"of-{self._name}":
            raise RequestUnknown("not mine")
        return media_provider_service_pb2.GetDiagnosticsResponse(request_id=request.request_id, instance_id=self._name)


class Registered:
    """Stays registered with one control, for a server that somebody else runs."""

    def __init__(self, address, registry, **described) -> None:
        self.registration = registration(address=address, **described)
        self._registry = registry
        self.updates: asyncio.Queue[registry_service_pb2.RegistrationUpdate] = asyncio.Queue()
        self.registered = asyncio.Event()

    async def __aenter__(self):
        self._task = asyncio.create_task(self._stay())
        await asyncio.wait_for(self.registered.wait(), 10)
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _stay(self):
        while True:
            async with open_channel(self._registry) as channel:
                call = RegistryServiceStub(channel).Register()
                with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError, AutoMarketError):
                    await call.write(registry_service_pb2.RegisterRequest(registration=self.registration))
                    if await call.read() is not grpc.aio.EOF:
                        self.registered.set()
                        updates = asyncio.create_task(self._update(call))
                        try:
                            await call.read()
                        finally:
                            updates.cancel()
            self.registered.clear()
            await asyncio.sleep(0.05)

    async def _update(self, call):
        while True:
            await call.write(registry_service_pb2.RegisterRequest(update=await self.updates.get()))


class Peer(Registered):
    """A provider server that runs and stays registered with one control."""

    def __init__(self, address, registry, note, **described) -> None:
        super().__init__(address, registry, **described)
        self.server = self.make_server(address, self.registration.instance_id, note)

    def make_server(self, address, name, note):
        server = RpcServer([address], SERVICES)
        self.provider = PeerProvider(name)
        add_ModelServiceServicer_to_server(PeerModels(name, note), server.grpc)
        add_MediaProviderServiceServicer_to_server(self.provider, server.grpc)
        return server

    async def __aenter__(self):
        await self.server.start()
        return await super().__aenter__()

    async def __aexit__(self, *_):
        await super().__aexit__(*_)
        await self.server.drain(0)


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in ("listen", "registry", "id", "instance", "notes"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--model", default="words")
    given = parser.parse_args()

    def note(text: str) -> None:
        with Path(given.notes).open("a") as file:
            file.write(f"{time.time():.3f} {text}\n")

    async def run(stop: asyncio.Event) -> None:
        described = {"provider_id": given.id, "instance_id": given.instance, "models": [model(given.model)]}
        described["generation"] = int(time.time() * 1000)
        async with Peer(given.listen, given.registry, note, **described):
            await stop.wait()

    return run_server("peer", run)


if __name__ == "__main__":
    raise SystemExit(main())
