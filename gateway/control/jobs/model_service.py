"""Transform and Generate followed as jobs: what the relay sends here when a call says `automarket-follow: job`.

The inputs go into the asset store, the job is created with the call's request_id, and its events are streamed. When the
caller goes away the job goes on; JobService.WatchJob gives what was missed.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from automarket.client.assets import AssetClient
from automarket.errors import (
    ChunkTooLarge,
    DigestMismatch,
    HeaderMissing,
    HeaderRepeated,
    InputIncomplete,
    InputOutOfOrder,
    MethodUnknown,
    StoreUnavailable,
)
from automarket.rpc.channel import open_channel
from automarket.v1 import job_service_pb2, transform_pb2
from automarket.v1 import model_service_pb2 as pb
from automarket.v1.model_service_pb2_grpc import ModelServiceServicer
from gateway.control.jobs.watching import Following

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from automarket.v1 import model_pb2
    from gateway.control.jobs.intake import Intake
    from gateway.control.jobs.runner import Runner

MAX_CHUNK_BYTES = 1024 * 1024


class FollowedModels(ModelServiceServicer):
    """Transform and Generate as jobs."""

    def __init__(self, runner: Runner, intake: Intake, store_address: str) -> None:
        self._runner = runner
        self._intake = intake
        self._store_address = store_address

    async def GetModel(self, request: pb.GetModelRequest, context: Any) -> pb.GetModelResponse:
        """Send the caller to where models are: the public port."""
        raise _elsewhere()

    async def EstimateCost(self, request: pb.EstimateCostRequest, context: Any) -> pb.EstimateCostResponse:
        """Send the caller to where models are: the public port."""
        raise _elsewhere()

    async def Transform(self, request_iterator: Any, context: Any) -> AsyncGenerator[pb.TransformResponse]:
        """Run a model over inputs that may be streamed, as a job."""
        first: pb.TransformRequest | None = await anext(request_iterator, None)
        if first is None or not first.HasField("header"):
            raise HeaderMissing("the first message carries no header", hint="send target and header first")
        await context.send_initial_metadata(())
        await self._take_chunks(first.header, request_iterator)
        async with aclosing(self._events(first.target, first.header)) as events:
            async for event in events:
                yield pb.TransformResponse(event=event)

    async def Generate(self, request: pb.GenerateRequest, context: Any) -> AsyncGenerator[pb.GenerateResponse]:
        """Run a model over inputs that are all there, as a job."""
        async with aclosing(self._events(request.target, request.header)) as events:
            async for event in events:
                yield pb.GenerateResponse(event=event)

    async def _events(
        self, target: model_pb2.Target, header: transform_pb2.TransformHeader
    ) -> AsyncGenerator[transform_pb2.TransformEvent]:
        request = job_service_pb2.CreateJobRequest(target=target, header=header)
        found = await self._intake.create(request)
        async with aclosing(Following(self._runner, found, 0).all()) as items:
            async for item in items:
                if isinstance(item, transform_pb2.TransformEvent):
                    yield item

    async def _take_chunks(self, header: transform_pb2.TransformHeader, requests: Any) -> None:
        """Put the inputs that follow as chunks into the asset store, one after another, as they come."""
        numbers = [number for number, one in enumerate(header.inputs) if one.WhichOneof("source") == "stream"]
        if not numbers:
            return
        if not self._store_address:
            raise StoreUnavailable("this mesh has no asset store", hint="a job's inputs are kept by one")
        async with open_channel(self._store_address) as channel:
            store = AssetClient(channel)
            for number in numbers:
                ending = _Ending()
                asset = await store.put_stream(_pieces(requests, number, ending))
                if ending.sha256 and asset.digest != f"sha256:{ending.sha256.hex()}":
                    raise DigestMismatch(f"input {number} has another digest than its last chunk says")
                declared = header.inputs[number]
                declared.digest = asset.digest
                declared.media_type = declared.media_type or asset.media_type


def _elsewhere() -> MethodUnknown:
    return MethodUnknown("control runs no models", hint="call the mesh at its public address")


class _Ending:
    """What the last chunk of an input says."""

    def __init__(self) -> None:
        self.sha256 = b""


async def _pieces(requests: Any, number: int, ending: _Ending) -> AsyncGenerator[bytes]:
    """Give the bytes of one input, under the contract's rules for chunks."""
    offset = 0
    while True:
        request: pb.TransformRequest | None = await anext(requests, None)
        if request is None:
            raise InputIncomplete(
                f"input {number} ended before its last chunk", fields={f"header.inputs[{number}]": "cut"}
            )
        if request.HasField("header"):
            raise HeaderRepeated("a later message has a header, too")
        chunk = request.chunk
        if chunk.input != number or chunk.offset_bytes != offset:
            message = f"a chunk of input {chunk.input} from byte {chunk.offset_bytes} came out of order"
            raise InputOutOfOrder(message, hint=f"byte {offset} of input {number} was next")
        if len(chunk.data) > MAX_CHUNK_BYTES:
            raise ChunkTooLarge(f"a chunk has {len(chunk.data):,} bytes; at most {MAX_CHUNK_BYTES:,} are allowed")
        offset += len(chunk.data)
        if chunk.data:
            yield chunk.data
        if chunk.last:
            ending.sha256 = chunk.sha256
            return
