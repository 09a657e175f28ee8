"""Descriptions as the contract's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.struct_pb2 import Struct

from automarket import capabilities
from automarket.media.wire import audio_format_to_proto, image_format_to_proto, to_duration
from automarket.v1 import capability_pb2, media_pb2, media_provider_service_pb2, model_pb2
from provider_servers.runtime.describe import Kind
from provider_servers.runtime.options import object_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provider_servers.runtime.describe import Availability, Model, Output, Provider, Slot

_KINDS = {Kind.LOCAL: model_pb2.PROVIDER_KIND_LOCAL, Kind.REMOTE: model_pb2.PROVIDER_KIND_REMOTE}


def provider_to_proto(provider: Provider, availability: Availability) -> model_pb2.Provider:
    """Give a provider's description as a message."""
    names = dict.fromkeys(name for model in provider.models() for name in model.capabilities)
    message = model_pb2.Provider(
        id=provider.id,
        aliases=provider.aliases,
        name=provider.name,
        description=provider.description,
        version=provider.version,
        kind=_KINDS[provider.kind],
        availability=_availability(availability),
        capabilities=[_capability(name) for name in names],
        finds_models=provider.finds_models,
    )
    if provider.settings_schema:
        message.settings_schema.update(object_schema(provider.settings_schema))
    return message


def models_to_proto(provider: Provider) -> Sequence[model_pb2.Model]:
    """Give the descriptions of all models of a provider as messages."""
    schemas: dict[int, Struct] = {}
    return [model_to_proto(model, provider, schemas) for model in provider.models()]


class ModelMessages:
    """The descriptions of a provider's models as messages: made when the models have changed, and kept.

    A vendor may have hundreds of models, and their messages take a tenth of a second to make.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._models: list[Model] | None = None
        self._messages = media_provider_service_pb2.ListModelsResponse()

    def now(self) -> media_provider_service_pb2.ListModelsResponse:
        """Give them; they are not to be changed."""
        models = list(self._provider.models())
        if models != self._models:
            self._messages = media_provider_service_pb2.ListModelsResponse(models=models_to_proto(self._provider))
            self._models = models
        return self._messages


def model_to_proto(model: Model, provider: Provider, schemas: dict[int, Struct] | None = None) -> model_pb2.Model:
    """Give a model's description as a message.

    Args:
        model: the model.
        provider: whose it is.
        schemas: schemas that were made already, by the identity of the options that they describe.
    """
    message = model_pb2.Model(
        id=model.id,
        canonical_id=model.canonical_id,
        aliases=model.aliases,
        name=model.name or model.id,
        description=model.description,
        version=model.version,
        provider_id=provider.id,
        capabilities=[_capability(name) for name in model.capabilities],
        inputs=[_slot(slot) for slot in model.inputs],
        outputs=[_output(output) for output in model.outputs],
        limits=model_pb2.ModelLimits(
            max_concurrent_calls=provider.max_concurrent_calls,
            max_queued_calls=provider.max_queued_calls,
            context_tokens=model.context_tokens or 0,
            max_output_tokens=model.max_output_tokens or 0,
        ),
        replay_safe=model.replay_safe,
        deduplicates=model.deduplicates,
        long_running=model.long_running,
        resumable=model.resumable,
        from_vendor_schema=model.from_vendor_schema,
        availability=_availability(model.availability),
    )
    message.options_schema.CopyFrom(_schema(model, {} if schemas is None else schemas))
    if (price := model.pricing) is not None:
        message.pricing.CopyFrom(
            model_pb2.Pricing(
                unit=price.unit,
                input_cost=price.input_cost,
                output_cost=price.output_cost,
                currency=price.currency,
                cached_input_cost=price.cached_input_cost,
            )
        )
    return message


def _schema(model: Model, made: dict[int, Struct]) -> Struct:
    """Give the schema of a model's options; models that share their options share it."""
    found = made.get(id(model.options))
    if found is None:
        found = made[id(model.options)] = Struct()
        found.update(object_schema(model.options))
    return found


def _availability(availability: Availability) -> model_pb2.Availability:
    return model_pb2.Availability(
        available=availability.available,
        reason=availability.reason,
        hint=availability.hint,
        error_reason=availability.error_reason,
    )


def _capability(name: str) -> model_pb2.CapabilityRef:
    known = capabilities.find(name)
    number = capability_pb2.Capability.ValueType(known.number if known else 0)
    return model_pb2.CapabilityRef(capability=number, name=name)


def _slot(slot: Slot) -> model_pb2.InputSlot:
    limits: dict[str, Any] = {
        "max_bytes": slot.max_bytes,
        "max_characters": slot.max_characters,
        "max_count": slot.max_count,
        "max_duration": None if slot.max_seconds is None else to_duration(slot.max_seconds),
    }
    return model_pb2.InputSlot(
        name=slot.name,
        role=media_pb2.Role.ValueType(slot.role.number),
        optional=slot.optional,
        repeated=slot.repeated,
        media_types=slot.media_types,
        audio=None if slot.audio is None else audio_format_to_proto(slot.audio),
        image=None if slot.image is None else image_format_to_proto(slot.image),
        limits=model_pb2.InputLimits(**{key: value for key, value in limits.items() if value is not None}),
        description=slot.description,
    )


def _output(output: Output) -> model_pb2.OutputType:
    return model_pb2.OutputType(
        name=output.name,
        role=media_pb2.Role.ValueType(output.role.number),
        media_types=output.media_types,
        streamed=output.streamed,
    )
