"""The calls that are measured, made as cheaply as Python can, so that the client is not what is measured."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import grpc.aio

from automarket.v1 import model_pb2, model_service_pb2, transform_pb2
from bench.peer import CHUNK, MODEL_ID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MIB = 1024 * 1024
METADATA = (("automarket-model", MODEL_ID),)
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]


def first_message(**model_options: int) -> bytes:
    """Give the header message, with what the peer shall send back."""
    header = transform_pb2.TransformHeader(request_id="00000000-0000-4000-8000-000000000000")
    header.inputs.add(slot="text").stream.SetInParent()
    header.model_options.update(model_options)
    target = model_pb2.Target(model=MODEL_ID)
    return model_service_pb2.TransformRequest(target=target, header=header).SerializeToString()


def chunk_messages(count: int) -> list[bytes]:
    """Give `count` chunk messages of 1 MiB each, serialised."""
    chunks = (transform_pb2.InputChunk(offset_bytes=n * MIB, data=CHUNK, last=n == count - 1) for n in range(count))
    return [model_service_pb2.TransformRequest(chunk=chunk).SerializeToString() for chunk in chunks]


class Load:
    """Makes the measured calls over one channel."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=OPTIONS)
        self._transform: Any = self._channel.stream_stream("/automarket.v1.ModelService/Transform")
        self._get_model: Any = self._channel.unary_unary("/automarket.v1.ModelService/GetModel")

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def _run(self, *messages: bytes) -> int:
        async def requests() -> AsyncIterator[bytes]:
            for message in messages:
                yield message

        received = 0
        async for _ in self._transform(requests(), metadata=METADATA):
            received += 1
        return received

    async def upload(self, mebibytes: int) -> float:
        """Send so many chunks of 1 MiB; give MiB a second."""
        messages = (first_message(), *chunk_messages(mebibytes))
        begin = time.perf_counter()
        await self._run(*messages)
        return mebibytes / (time.perf_counter() - begin)

    async def download(self, mebibytes: int) -> float:
        """Receive so many chunks of 1 MiB; give MiB a second."""
        begin = time.perf_counter()
        await self._run(first_message(chunks=mebibytes))
        return mebibytes / (time.perf_counter() - begin)

    async def tokens(self, count: int) -> float:
        """Receive so many events of about 40 bytes; give events a second."""
        begin = time.perf_counter()
        await self._run(first_message(tokens=count))
        return count / (time.perf_counter() - begin)

    async def unary(self, count: int) -> float:
        """Make so many unary calls one after another; give the median in milliseconds."""
        message = model_service_pb2.GetModelRequest(target=model_pb2.Target(model=MODEL_ID)).SerializeToString()
        times: list[float] = []
        for _ in range(count):
            begin = time.perf_counter()
            await self._get_model(message, metadata=METADATA)
            times.append((time.perf_counter() - begin) * 1000)
        return statistics.median(times)
