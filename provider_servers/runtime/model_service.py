"""ModelService over an author's provider."""

from __future__ import annotations

import uuid
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from automarket.errors import HeaderMissing, InputIncomplete, InvalidRequestError, ProviderUnknown, RequestTooLarge
from automarket.v1 import model_service_pb2 as pb
from automarket.v1 import transform_pb2
from automarket.v1.model_service_pb2_grpc import ModelServiceServicer
from provider_servers.runtime.call import Call
from provider_servers.runtime.descriptors import model_to_proto
from provider_servers.runtime.estimates import estimate_to_proto, estimated, facts_of
from provider_servers.runtime.options import read_options
from provider_servers.runtime.prepare import fill_slots
from provider_servers.runtime.run import Run
from provider_servers.runtime.targets import found
from provider_servers.runtime.text_options import check_ahead
from provider_servers.runtime.workdir import Workdir

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable

    from automarket.v1 import model_pb2
    from provider_servers.runtime.host import Host

MAX_HEADER_BYTES = 3 * 1024 * 1024
MAX_INPUTS = 256
WIRE_SHARE = 0.99


class ModelServicer(ModelServiceServicer):
    """Runs the provider's models."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def GetModel(self, request: pb.GetModelRequest, context: Any) -> pb.GetModelResponse:
        """Describe a model."""
        model, _ = await found(self._host.provider, request.target, _metadata(context))
        return pb.GetModelResponse(model=model_to_proto(model, self._host.provider))

    async def Transform(self, request_iterator: Any, context: Any) -> AsyncGenerator[pb.TransformResponse]:
        """Run a model over inputs that may be streamed."""
        first: pb.TransformRequest | None = await anext(request_iterator, None)
        if first is None or not first.HasField("header"):
            raise HeaderMissing("the first message carries no header", hint="send target and header first")
        await check_ahead(first.header.text_to_text)
        run = await self._run(first.target, first.header, request_iterator, context)
        await context.send_initial_metadata(())
        async with aclosing(run.responses(pb.TransformResponse)) as responses:
            async for response in responses:
                yield response

    async def Generate(self, request: pb.GenerateRequest, context: Any) -> AsyncGenerator[pb.GenerateResponse]:
        """Run a model over inputs that are all there."""
        if not request.HasField("header"):
            raise HeaderMissing("the request carries no header")
        for number, one in enumerate(request.header.inputs):
            if one.WhichOneof("source") == "stream":
                message = f"input {number} says that it follows as chunks, and Generate takes none"
                raise InputIncomplete(message, hint="use Transform", fields={f"header.inputs[{number}].stream": "no"})
        if request.header.on_loss == transform_pb2.LOSS_ACTION_KEEP:
            message = "a caller that comes back has to confirm checkpoints, and Generate has no way to"
            raise InvalidRequestError(message, hint="use Transform", fields={"header.on_loss": "not with Generate"})
        await check_ahead(request.header.text_to_text)
        run = await self._run(request.target, request.header, None, context)
        async with aclosing(run.responses(pb.GenerateResponse)) as responses:
            async for response in responses:
                yield response

    async def EstimateCost(self, request: pb.EstimateCostRequest, context: Any) -> pb.EstimateCostResponse:
        """Say what a call would cost; the options are checked as a call checks them."""
        provider, header = self._host.provider, request.header
        model, capability = await found(provider, request.target, _metadata(context))
        await check_ahead(header.text_to_text)
        slots = fill_slots(header.inputs, model, complete=False)
        options = read_options(header, model)
        facts = await facts_of(header.inputs, slots, self._host.store)
        call = Call(model, capability, options, header.request_id, Workdir(), facts=facts)
        estimate = await provider.estimate(call) or estimated(model, options, facts)
        return pb.EstimateCostResponse(estimate=estimate_to_proto(estimate), provider_id=provider.id, model_id=model.id)

    async def _run(
        self,
        target: model_pb2.Target,
        header: transform_pb2.TransformHeader,
        requests: AsyncIterable[pb.TransformRequest] | None,
        context: Any,
    ) -> Run:
        _check(header)
        self._check_instance(target)
        model, capability = await found(self._host.provider, target, _metadata(context))
        left = context.time_remaining()
        # On the wire a deadline is rounded up by as much as a hundredth; an author never sees more than the caller set.
        left = None if left is None else left * WIRE_SHARE
        return Run(self._host, model, capability, header, requests=requests, seconds_left=left)

    def _check_instance(self, target: model_pb2.Target) -> None:
        """Check that a call that names an instance has found it: whoever calls directly may have an old address."""
        own = self._host.instance_id
        if target.instance_id not in ("", own) and not target.preferences.fallbacks:
            message = f"this is instance {own}, not {target.instance_id!r}"
            raise ProviderUnknown(message, metadata={"provider": self._host.provider.id, "instance": own})


def _check(header: transform_pb2.TransformHeader) -> None:
    if header.ByteSize() > MAX_HEADER_BYTES:
        message = f"the header is {header.ByteSize():,} bytes; at most {MAX_HEADER_BYTES:,} are allowed"
        raise RequestTooLarge(message, hint="send large inputs by digest or as chunks", fields={"header": "too large"})
    if len(header.inputs) > MAX_INPUTS:
        raise InvalidRequestError(f"at most {MAX_INPUTS} inputs are allowed", fields={"header.inputs": "too many"})
    if header.outputs_by_digest and header.HasField("store") and not header.store:
        fields = {"header.outputs_by_digest": "store is false"}
        raise InvalidRequestError("outputs by digest are kept by the store, and store is false", fields=fields)
    try:
        uuid.UUID(header.request_id)
    except ValueError:
        fields = {"header.request_id": "a UUID is required"}
        raise InvalidRequestError("the header's request_id is not a UUID", fields=fields) from None


def _metadata(context: Any) -> dict[str, str]:
    pairs: Any = context.invocation_metadata() or ()
    return {key: value for key, value in pairs if isinstance(value, str)}
