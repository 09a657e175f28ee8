"""A provider behind a real server on a Unix socket, called through the contract, inputs as chunks."""

from __future__ import annotations

import hashlib
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automarket.client.options import write_options
from automarket.rpc.channel import errors_mapped
from automarket.v1 import model_pb2, model_service_pb2, transform_pb2
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from provider_servers.runtime.testing import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from automarket.errors import AutoMarketError
    from provider_servers.runtime import Provider

CHUNK_BYTES = 256 * 1024


@dataclass(slots=True)
class Answer:
    """What came back: the bytes of every output, its end, and all events."""

    outputs: dict[int, bytes] = field(default_factory=dict)
    finished: list[transform_pb2.OutputFinished] = field(default_factory=list)
    events: list[transform_pb2.TransformEvent] = field(default_factory=list)

    def take(self, event: transform_pb2.TransformEvent) -> None:
        self.events.append(event)
        if event.WhichOneof("event") == "output_chunk":
            chunk = event.output_chunk
            self.outputs[chunk.output] = self.outputs.get(chunk.output, b"") + chunk.data
        elif event.WhichOneof("event") == "output_finished":
            self.finished.append(event.output_finished)

    def kinds(self) -> list[str]:
        return [event.WhichOneof("event") for event in self.events]

    def save(self, output: int, path: Path) -> Path:
        path.write_bytes(self.outputs[output])
        return path


@dataclass(frozen=True, slots=True)
class Caller:
    stub: Any

    async def __call__(self, capability: str, *inputs: Path | str, **options: Any) -> Answer:
        answer = Answer()
        async for event in self.stream(capability, *inputs, **options):
            answer.take(event)
        assert answer.kinds().count("finished") == 1
        assert [event.sequence for event in answer.events] == list(range(1, len(answer.events) + 1))
        for finished in answer.finished:
            digest = hashlib.sha256(answer.outputs[finished.output]).hexdigest()
            assert finished.digest == f"sha256:{digest}"
        return answer

    async def stream(
        self, capability: str, *inputs: Path | str, timeout: float = 60, **options: Any
    ) -> AsyncIterator[transform_pb2.TransformEvent]:
        first = _first(capability, inputs, {name: value for name, value in options.items() if value is not None})
        with errors_mapped():
            call = self.stub.Transform(_requests(first, inputs), timeout=timeout)
            try:
                async for response in call:
                    yield response.event
            finally:
                call.cancel()


def _first(capability: str, inputs: tuple[Path | str, ...], options: dict[str, Any]) -> Any:
    header = transform_pb2.TransformHeader(request_id=str(uuid.uuid4()))
    write_options(header, capability, options)
    for one in inputs:
        if isinstance(one, str):
            header.inputs.add(inline=one.encode())
        else:
            header.inputs.add(stream=transform_pb2.InputStream(), size_bytes=one.stat().st_size)
    target = model_pb2.Target(capability_name=capability)
    return model_service_pb2.TransformRequest(target=target, header=header)


async def _requests(first: Any, inputs: tuple[Path | str, ...]) -> AsyncIterator[Any]:
    yield first
    for number, one in enumerate(inputs):
        if isinstance(one, Path):
            data = one.read_bytes()
            for begin in range(0, len(data), CHUNK_BYTES):
                piece = data[begin : begin + CHUNK_BYTES]
                last = begin + CHUNK_BYTES >= len(data)
                chunk = transform_pb2.InputChunk(input=number, offset_bytes=begin, data=piece, last=last)
                yield model_service_pb2.TransformRequest(chunk=chunk)


@asynccontextmanager
async def calling(provider: Provider) -> AsyncIterator[Caller]:
    """Serve a provider and give what calls it."""
    async with serving(provider) as served:
        yield Caller(ModelServiceStub(served.channel))


def only_field(error: AutoMarketError) -> str:
    """Give the one field that an error names."""
    (name,) = error.fields
    return name
