"""Asking a provider that makes media, through the contract, and what came back."""

from __future__ import annotations

import time
import uuid
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from automarket.client.options import write_options
from automarket.errors import AutoMarketError
from automarket.rpc.streams import BidiCall
from automarket.v1 import model_pb2, transform_pb2
from automarket.v1 import model_service_pb2 as pb
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from tests.support.gateway import until as waited_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from provider_servers.runtime.testing import Served

INLINE_BYTES = 60_000


@dataclass
class Answer:
    """What came back. `outputs` are the bytes of each output, `error` what the call ended with."""

    outputs: list[bytearray] = field(default_factory=list)
    finished: list[Any] = field(default_factory=list)
    segments: list[Any] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    usage: list[Any] = field(default_factory=list)
    progress: list[Any] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    error: AutoMarketError | None = None

    @property
    def output(self) -> bytes:
        return bytes(self.outputs[0])

    @property
    def text(self) -> str:
        """The text of the call: that which replaces what came before, or what adds up."""
        said = " ".join(one.text for one in self.segments) or "".join(self.tokens)
        return bytes(self.outputs[0]).decode() if self.outputs and self.outputs[0] else said

    @property
    def media(self) -> Any:
        return self.finished[0].media_info

    def take(self, event: Any) -> None:
        kind = event.WhichOneof("event")
        self.kinds.append(kind)
        what = getattr(event, kind)
        if kind == "output_started":
            self.outputs.append(bytearray())
            self.types.append(what.media_type)
        elif kind == "output_chunk":
            self.arrived.append(time.monotonic())
            self.outputs[what.output] += what.data
        elif kind == "segment":
            self.segments.append(what)
        elif kind == "text_delta":
            self.tokens += what.tokens
        elif kind in ("usage", "progress"):
            getattr(self, kind).append(what)
        elif kind == "output_finished":
            self.finished.append(what)


def header(model: str, inputs: list[tuple[str, bytes | str]], capability: str, options: dict[str, Any]) -> Any:
    """Make the first message, with the inputs inline where they are small, and those that follow as chunks."""
    head = transform_pb2.TransformHeader(request_id=str(uuid.uuid4()))
    for slot, data in inputs:
        given = data.encode() if isinstance(data, str) else data
        if len(given) <= INLINE_BYTES:
            head.inputs.add(slot=slot, inline=given)
        else:
            head.inputs.add(slot=slot).stream.SetInParent()
    write_options(head, capability, options)
    return pb.TransformRequest(target=model_pb2.Target(model=model), header=head)


async def chunks(inputs: list[tuple[str, bytes | str]]) -> Any:
    for number, (_, data) in enumerate(inputs):
        given = data.encode() if isinstance(data, str) else data
        if len(given) <= INLINE_BYTES:
            continue
        for offset in range(0, len(given), 1024 * 1024):
            piece = given[offset : offset + 1024 * 1024]
            last = offset + len(piece) == len(given)
            made = transform_pb2.InputChunk(input=number, offset_bytes=offset, data=piece, last=last)
            yield pb.TransformRequest(chunk=made)


async def ask(
    served: Served,
    model: str,
    *inputs: tuple[str, bytes | str],
    capability: str = "",
    until: str = "",
    cancel_when: Callable[[], bool] | None = None,
    **options: Any,
) -> Answer:
    """Make one call; it is cancelled at the first event of the kind `until`, or once `cancel_when()` holds.

    Args:
        served: the provider.
        model: by id.
        inputs: slot and bytes, or text.
        capability: whose typed options `options` are.
        until: kind of an event.
        cancel_when: asked again and again.
        options: typed ones and the model's own.
    """
    heard = Answer()
    try:
        first = header(model, list(inputs), capability, options)
        call = ModelServiceStub(served.channel).Transform(timeout=60)
        async with BidiCall(call, first, chunks(list(inputs))) as stream, aclosing(stream.responses()) as responses:
            if cancel_when is not None:
                await waited_for(cancel_when, what="the moment to cancel")
                return heard
            async for response in responses:
                heard.take(response.event)
                if until and heard.kinds[-1] == until:
                    break
    except AutoMarketError as error:
        heard.error = error
    return heard
