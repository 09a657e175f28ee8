"""The provider server that the measurements talk to: as little work a message as Python allows.

It is written on the contract alone, without the provider runtime, so that what is measured is the way there and not
what a provider does. Run as a process: python -m bench.peer --listen unix:/p --registry unix:/q
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
import uuid
from typing import TYPE_CHECKING, Any, cast

import grpc
import grpc.aio
import uvloop

from automarket.rpc.streams import EOF
from automarket.v1 import endpoint_pb2, model_pb2, registry_service_pb2
from automarket.v1.registry_service_pb2_grpc import RegistryServiceStub
from bench import messages

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

OPTIONS = [("grpc.max_receive_message_length", -1)]

CHUNK = messages.chunk_response()
TOKEN = messages.token_response()
FINISHED = messages.finished_response()
MODEL = messages.get_model_response()
STAMPS = messages.Stamps()


async def transform(_: Any, context: Any) -> None:
    """Read everything, then send as many chunks or tokens as the first message asks for."""
    await context.send_initial_metadata(())
    wanted = messages.wanted(await context.read())
    while await context.read() is not EOF:
        pass
    write: Callable[[bytes], Awaitable[None]] = context.write
    for _ in range(int(wanted.get("chunks", 0))):
        await write(CHUNK)
    count = int(wanted.get("tokens", 0))
    if rate := wanted.get("rate"):
        await _pace(write, count, 1 / rate)
    else:
        for _ in range(count):
            await write(TOKEN)
    await write(FINISHED)


async def _pace(write: Callable[[bytes], Awaitable[None]], count: int, interval: float) -> None:
    """Send stamped tokens evenly; streams begin at different moments, as they do in life."""
    now = asyncio.get_running_loop().time
    due = now() + random.random() * interval
    for number in range(count):
        if (early := due - now()) > 0:
            await asyncio.sleep(early)
        await write(STAMPS.write(number))
        due += interval


async def get_model(request: bytes, context: Any) -> bytes:  # noqa: ARG001 - gRPC's signature
    """Answer a unary call."""
    return MODEL


def registration(address: str) -> registry_service_pb2.RegisterRequest:
    """Give the first message to the registry."""
    scope = endpoint_pb2.ENDPOINT_SCOPE_UNIX if address.startswith("unix:") else endpoint_pb2.ENDPOINT_SCOPE_HOST
    provider = model_pb2.Provider(
        id=messages.MODEL_ID,
        name="Bench peer",
        kind=model_pb2.PROVIDER_KIND_LOCAL,
        availability=model_pb2.Availability(available=True),
    )
    return registry_service_pb2.RegisterRequest(
        registration=registry_service_pb2.Registration(
            instance_id=f"{messages.MODEL_ID}-{uuid.uuid4().hex[:8]}",
            generation=int(time.time() * 1000),
            endpoints=[endpoint_pb2.Endpoint(scope=scope, address=address)],
            provider=provider,
            models=[messages.model()],
        )
    )


async def serve(listen: Sequence[str], registry: str) -> None:
    """Serve, and stay registered under the first address, until the process is ended."""
    server = grpc.aio.server(options=OPTIONS)
    handlers: dict[str, Any] = {
        "Transform": grpc.stream_stream_rpc_method_handler(cast("Any", transform)),
        "GetModel": grpc.unary_unary_rpc_method_handler(cast("Any", get_model)),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("automarket.v1.ModelService", handlers),))
    for address in listen:
        server.add_insecure_port(address)
    await server.start()
    async with grpc.aio.insecure_channel(registry) as channel:
        call = RegistryServiceStub(channel).Register()
        await call.write(registration(listen[0]))
        await call.read()
        await server.wait_for_termination()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", required=True, action="append", help="unix:/path or host:port; may be repeated")
    parser.add_argument("--registry", required=True)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.listen, arguments.registry))


if __name__ == "__main__":
    main()
