"""A server with a method of every kind, and what tests send to it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from automarket.errors import AssetCorrupt, DigestMismatch, ModelUnknown
from automarket.rpc.channel import open_channel
from automarket.rpc.record import annotate
from automarket.rpc.server import RpcServer
from automarket.v1 import asset_pb2, asset_service_pb2, model_service_pb2, transform_pb2
from automarket.v1.asset_service_pb2_grpc import AssetServiceServicer, add_AssetServiceServicer_to_server
from automarket.v1.model_service_pb2_grpc import ModelServiceServicer, add_ModelServiceServicer_to_server

CHUNK = bytes(256 * 1024)


class Models(ModelServiceServicer):
    """Does what the name of the asked model says."""

    def __init__(self):
        self.closed = asyncio.Event()  # a streaming handler has cleaned up
        self.working = asyncio.Event()  # requests come in
        self.saw_end = False
        self.time_left = None
        self.error = ModelUnknown(
            "no model has that name", hint="automarket models", fields={"target.model": "unknown"}
        )

    async def GetModel(self, request, context):
        self.time_left = context.time_remaining()
        annotate(provider="toy")
        match request.target.model:
            case "bug":
                raise ValueError("password=hunter2")
            case "cancelled inside":
                inner = asyncio.create_task(asyncio.sleep(60))
                inner.cancel()
                await inner
            case "slow":
                await asyncio.sleep(0.4)
                return model_service_pb2.GetModelResponse()
            case "never":
                await asyncio.sleep(60)
        raise self.error

    async def Transform(self, requests, context):
        header = await anext(requests)
        await context.send_initial_metadata((("automarket-instance", "one"),))
        if header.target.model == "early":
            raise DigestMismatch("the first chunk is wrong already")
        try:
            async for request in requests:
                self.working.set()
                yield model_service_pb2.TransformResponse(
                    event=transform_pb2.TransformEvent(sequence=request.chunk.offset_bytes)
                )
            self.saw_end = True
        finally:
            await asyncio.sleep(0)  # cleaning up may take its time
            self.closed.set()

    async def Generate(self, request, context):
        try:
            if request.target.model == "flood":
                chunk = transform_pb2.OutputChunk(data=CHUNK)
                while True:
                    yield model_service_pb2.GenerateResponse(event=transform_pb2.TransformEvent(output_chunk=chunk))
            yield model_service_pb2.GenerateResponse()
            raise self.error
        finally:
            self.closed.set()


class Assets(AssetServiceServicer):
    """Takes uploads, or refuses them."""

    async def Write(self, requests, context):
        first = await anext(requests)
        await context.send_initial_metadata(())
        if first.header.file_name == "bad":
            raise AssetCorrupt("no")
        count = sum([len(request.chunk.data) async for request in requests])
        return asset_service_pb2.WriteResponse(asset=asset_pb2.Asset(size_bytes=count))


@asynccontextmanager
async def serving(folder, **options):
    """Run the server; give its models, a channel to it, and the server."""
    server = RpcServer([f"unix:{folder}/s.sock"], ["automarket.v1.ModelService"], **options)
    models = Models()
    add_ModelServiceServicer_to_server(models, server.grpc)
    add_AssetServiceServicer_to_server(Assets(), server.grpc)
    [address] = await server.start()
    channel = open_channel(address)
    try:
        yield models, channel, server
    finally:
        await channel.close()
        await server.drain(0)


def header(model=""):
    request = model_service_pb2.TransformRequest(header=transform_pb2.TransformHeader(request_id="r"))
    request.target.model = model
    return request


def asking(model):
    request = model_service_pb2.GetModelRequest()
    request.target.model = model
    return request


async def chunks(count):
    for number in range(count):
        chunk = transform_pb2.InputChunk(offset_bytes=number, data=CHUNK)
        yield model_service_pb2.TransformRequest(chunk=chunk)


async def endless():
    while True:
        await asyncio.sleep(0.01)
        yield model_service_pb2.TransformRequest(chunk=transform_pb2.InputChunk(data=b"x"))
