"""Asking what a call would cost. Nothing is uploaded for it."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

from automarket.assets import Asset
from automarket.assets.roles import Role
from automarket.chat.messages import Conversation
from automarket.client import job_wire
from automarket.client.inputs import bind
from automarket.client.options import check_options, write_options
from automarket.client.plan import used_as
from automarket.client.run import describe
from automarket.client.upload import INLINE_BYTES
from automarket.stored import StoredAsset
from automarket.v1 import model_service_pb2, transform_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from automarket.client.connection import Connection
    from automarket.client.inputs import BoundInput
    from automarket.client.job_info import CostEstimate
    from automarket.client.target import Target


async def estimate(
    connection: Connection, target: Target, inputs: Sequence[Any], keywords: Mapping[str, Any]
) -> CostEstimate:
    """Ask what a call would cost, as `Mesh.estimate` says."""
    target.check()
    model = await describe(connection, target)
    bound = await asyncio.to_thread(bind, model, inputs, keywords, complete=False)
    header = transform_pb2.TransformHeader(request_id=str(uuid.uuid4()))
    capability = used_as(model, target.capability)
    check_options(bound.options, capability, model.options_schema)
    write_options(header, capability, bound.options)
    header.inputs.extend([await _declared(one) for one in bound.inputs])
    request = model_service_pb2.EstimateCostRequest(target=target.to_proto(), header=header)
    answer = await connection.ask(connection.models.EstimateCost, request, target.to_metadata())
    return job_wire.estimate(answer.estimate, answer.provider_id, answer.model_id)


async def _declared(bound: BoundInput) -> transform_pb2.Input:
    """Give an input with what is known of it: text itself, an asset of the store by digest, the size of others."""
    declared = transform_pb2.Input(slot=bound.slot)
    source = bound.source
    if isinstance(source, StoredAsset):
        declared.digest, declared.media_type = source.digest, source.media_type
    elif isinstance(source, Asset):
        declared.media_type, declared.size_bytes = source.media_type, source.size_bytes
        if Role.TEXT in source.roles and source.size_bytes <= INLINE_BYTES:
            declared.inline = b"".join([piece async for piece in source.chunks()])
        else:
            declared.stream.SetInParent()
    elif isinstance(source, Conversation):
        declared.conversation.SetInParent()
    else:
        declared.stream.SetInParent()
    return declared
