"""The provider server that the measurements talk to: as little work a message as Python allows.

It is written on the contract alone, without the provider runtime, so that what is measured is the way there and not
what a provider does. Run as a process: python -m bench.peer --listen unix:/p --registry unix:/q
"""

from __future__ import annotations

import argparse
import asyncio
import time
import uuid
from typing import TYPE_CHECKING, Any, cast

import grpc
import grpc.aio
from google.protobuf import timestamp_pb2

from automarket.v1 import (
    capability_pb2,
    endpoint_pb2,
    media_pb2,
    model_pb2,
    model_service_pb2,
    registry_service_pb2,
    transform_pb2,
)
from automarket.v1.registry_service_pb2_grpc import RegistryServiceStub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MODEL_ID = "bench-peer"
CHUNK = bytes(1024 * 1024)
TOKEN = "x" * 20


def chunk_response() -> bytes:
    """Give one output chunk of 1 MiB, serialised."""
    event = transform_pb2.TransformEvent(output_chunk=transform_pb2.OutputChunk(data=CHUNK))
    return model_service_pb2.TransformResponse(event=event).SerializeToString()


def token_response() -> bytes:
    """Give one text event of about 40 bytes, serialised."""
    stamp = timestamp_pb2.Timestamp(seconds=1_700_000_000)
    delta = transform_pb2.TextDelta(tokens=[TOKEN])
    event = transform_pb2.TransformEvent(sequence=1000, event_time=stamp, text_delta=delta)
    return model_service_pb2.TransformResponse(event=event).SerializeToString()


def finished_response() -> bytes:
    """Give the last event, serialised."""
    event = transform_pb2.TransformEvent(finished=transform_pb2.Finished())
    return model_service_pb2.TransformResponse(event=event).SerializeToString()


def model() -> model_pb2.Model:
    """Give the descriptor of the one model."""
    return model_pb2.Model(
        id=MODEL_ID,
        name="Bench peer",
        provider_id=MODEL_ID,
        capabilities=[model_pb2.CapabilityRef(capability=capability_pb2.CAPABILITY_TEXT_TO_TEXT)],
        inputs=[model_pb2.InputSlot(name="text", role=media_pb2.ROLE_TEXT)],
        outputs=[model_pb2.OutputType(name="text", role=media_pb2.ROLE_TEXT, streamed=True)],
        availability=model_pb2.Availability(available=True),
    )


async def transform(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
    """Read everything, then send as many chunks or tokens as the header's model options ask for."""
    await context.send_initial_metadata(())
    header: transform_pb2.TransformHeader | None = None
    async for raw in requests:
        if header is None:
            header = model_service_pb2.TransformRequest.FromString(raw).header
    for name, response in (("chunks", chunk_response()), ("tokens", token_response())):
        wanted = header.model_options.fields[name].number_value if header else 0
        for _ in range(int(wanted)):
            yield response
    yield finished_response()


async def get_model(request: bytes, context: Any) -> bytes:  # noqa: ARG001 - gRPC's signature
    """Answer a unary call."""
    return model_service_pb2.GetModelResponse(model=model()).SerializeToString()


def registration(address: str) -> registry_service_pb2.RegisterRequest:
    """Give the first message to the registry."""
    provider = model_pb2.Provider(
        id=MODEL_ID,
        name="Bench peer",
        kind=model_pb2.PROVIDER_KIND_LOCAL,
        availability=model_pb2.Availability(available=True),
    )
    return registry_service_pb2.RegisterRequest(
        registration=registry_service_pb2.Registration(
            instance_id=f"{MODEL_ID}-{uuid.uuid4().hex[:8]}",
            generation=int(time.time() * 1000),
            endpoints=[endpoint_pb2.Endpoint(scope=endpoint_pb2.ENDPOINT_SCOPE_UNIX, address=address)],
            provider=provider,
            models=[model()],
        )
    )


async def serve(listen: str, registry: str) -> None:
    """Serve, and stay registered, until the process is ended."""
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    handlers: dict[str, Any] = {
        "Transform": grpc.stream_stream_rpc_method_handler(cast("Any", transform)),
        "GetModel": grpc.unary_unary_rpc_method_handler(cast("Any", get_model)),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("automarket.v1.ModelService", handlers),))
    server.add_insecure_port(listen)
    await server.start()
    async with grpc.aio.insecure_channel(registry) as channel:
        call = RegistryServiceStub(channel).Register()
        await call.write(registration(listen))
        await call.read()
        await server.wait_for_termination()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", required=True)
    parser.add_argument("--registry", required=True)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.listen, arguments.registry))


if __name__ == "__main__":
    main()
