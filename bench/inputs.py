"""The calls that give a provider an input, by digest or as chunks."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automarket.rpc.streams import EOF
from automarket.v1 import model_pb2, model_service_pb2, transform_pb2
from bench.messages import MIB
from bench.whole import MODEL_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

METADATA = (("automarket-model", MODEL_ID),)


async def by_digest(begin: Any, digest: str, *, read: bool) -> float:
    """Name the input by its digest; give the seconds until the call ended."""
    return await _run(begin(metadata=METADATA), transform_pb2.Input(digest=digest), iter(()), read=read)


async def as_chunks(begin: Any, path: str, *, read: bool) -> float:
    """Send the input; give the seconds until the call ended."""
    given = transform_pb2.Input(stream=transform_pb2.InputStream())
    return await _run(begin(metadata=METADATA), given, _chunks(Path(path)), read=read)


async def _run(call: Any, given: transform_pb2.Input, chunks: Iterator[bytes], *, read: bool) -> float:
    header = transform_pb2.TransformHeader(request_id=str(uuid.uuid4()), inputs=[given], store=False)
    header.model_options.update({"read": read})
    target = model_pb2.Target(model=MODEL_ID)
    first = model_service_pb2.TransformRequest(target=target, header=header).SerializeToString()
    start = time.perf_counter()
    await call.write(first)
    await call.initial_metadata()
    for chunk in chunks:
        await call.write(chunk)
    await call.done_writing()
    tokens: list[str] = []
    while (message := await call.read()) is not EOF:
        tokens += model_service_pb2.TransformResponse.FromString(message).event.text_delta.tokens
    if not tokens:
        raise RuntimeError(f"{await call.code()}: {await call.details()}")
    return time.perf_counter() - start


def _chunks(path: Path) -> Iterator[bytes]:
    size, offset = path.stat().st_size, 0
    with path.open("rb") as file:
        while data := file.read(MIB):
            chunk = transform_pb2.InputChunk(offset_bytes=offset, data=data, last=offset + len(data) == size)
            yield model_service_pb2.TransformRequest(chunk=chunk).SerializeToString()
            offset += len(data)
