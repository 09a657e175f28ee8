"""Descriptors from the contract's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from google.protobuf import json_format

from automarket import capabilities, service_status
from automarket.assets.roles import Role
from automarket.client import descriptors as d
from automarket.media.wire import audio_format_from_proto, image_format_from_proto, to_seconds
from automarket.v1 import media_provider_service_pb2, model_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from google.protobuf import duration_pb2, struct_pb2

    from automarket.media.info import AudioFormat, ImageFormat
    from automarket.v1 import capability_pb2, discovery_service_pb2

_KINDS = {
    model_pb2.PROVIDER_KIND_LOCAL: d.ProviderKind.LOCAL,
    model_pb2.PROVIDER_KIND_REMOTE: d.ProviderKind.REMOTE,
}


def json_of(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Give a Struct as a dictionary; whole numbers become int."""
    return cast("dict[str, Any]", _whole(json_format.MessageToDict(struct)))


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(part) for key, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_whole(part) for part in cast("list[Any]", value)]
    return value


def availability(message: model_pb2.Availability) -> d.Availability:
    """Give whether something can take work."""
    return d.Availability(message.available, message.reason, message.hint, message.error_reason)


def names(references: Iterable[model_pb2.CapabilityRef]) -> tuple[str, ...]:
    """Give the names of capabilities."""
    return tuple(filter(None, map(_name, references)))


def _name(reference: model_pb2.CapabilityRef) -> str:
    known = capabilities.by_number(reference.capability)
    return reference.name or (known.name if known else "")


def capability(message: capability_pb2.CapabilityInfo) -> d.CapabilityInfo:
    """Give a capability."""
    return d.CapabilityInfo(
        name=message.name,
        aliases=tuple(message.aliases),
        parents=tuple(message.parents),
        input_roles=tuple(role for role in map(Role.from_number, message.input_roles) if role),
        output_role=Role.from_number(message.output_role),
        model_count=message.model_count,
    )


def provider(message: model_pb2.Provider) -> d.ProviderInfo:
    """Give a provider."""
    return d.ProviderInfo(
        id=message.id,
        aliases=tuple(message.aliases),
        name=message.name,
        description=message.description,
        version=message.version,
        kind=_KINDS.get(message.kind, d.ProviderKind.UNKNOWN),
        availability=availability(message.availability),
        capabilities=names(message.capabilities),
        settings_schema=json_of(message.settings_schema) if message.HasField("settings_schema") else None,
        instances=tuple(map(_instance, message.instances)),
    )


def _instance(message: model_pb2.Instance) -> d.InstanceInfo:
    return d.InstanceInfo(
        message.instance_id,
        message.active_calls,
        message.queued_calls,
        message.max_concurrent_calls,
        message.draining,
    )


def model(message: model_pb2.Model) -> d.ModelInfo:
    """Give a model."""
    return d.ModelInfo(
        id=message.id,
        canonical_id=message.canonical_id,
        aliases=tuple(message.aliases),
        name=message.name,
        description=message.description,
        version=message.version,
        provider_id=message.provider_id,
        capabilities=names(message.capabilities),
        inputs=tuple(map(_slot, message.inputs)),
        outputs=tuple(map(_output, message.outputs)),
        options_schema=json_of(message.options_schema) if message.HasField("options_schema") else None,
        pricing=_pricing(message.pricing) if message.HasField("pricing") else None,
        limits=_model_limits(message.limits),
        replay_safe=message.replay_safe,
        interleaved_inputs=message.interleaved_inputs,
        availability=availability(message.availability),
        long_running=message.long_running,
        resumable=message.resumable,
        from_vendor_schema=message.from_vendor_schema,
    )


def _slot(message: model_pb2.InputSlot) -> d.SlotInfo:
    return d.SlotInfo(
        name=message.name,
        role=Role.from_number(message.role),
        optional=message.optional,
        repeated=message.repeated,
        media_types=tuple(message.media_types),
        format=_format(message),
        limits=_input_limits(message.limits),
        description=message.description,
    )


def _format(message: model_pb2.InputSlot) -> AudioFormat | ImageFormat | None:
    match message.WhichOneof("format"):
        case "audio":
            return audio_format_from_proto(message.audio)
        case "image":
            return image_format_from_proto(message.image)
        case _:
            return None


def _seconds(message: model_pb2.InputLimits | model_pb2.ModelLimits, field: str) -> float | None:
    return to_seconds(cast("duration_pb2.Duration", getattr(message, field))) or None


def _input_limits(message: model_pb2.InputLimits) -> d.InputLimits:
    return d.InputLimits(
        max_bytes=message.max_bytes or None,
        max_duration=_seconds(message, "max_duration"),
        min_duration=_seconds(message, "min_duration"),
        max_characters=message.max_characters or None,
        max_count=message.max_count or None,
    )


def _output(message: model_pb2.OutputType) -> d.OutputInfo:
    return d.OutputInfo(message.name, Role.from_number(message.role), tuple(message.media_types), message.streamed)


def _pricing(message: model_pb2.Pricing) -> d.Pricing:
    cached = message.cached_input_cost if message.HasField("cached_input_cost") else None
    return d.Pricing(message.unit, message.input_cost, message.output_cost, message.currency, cached)


def _model_limits(message: model_pb2.ModelLimits) -> d.ModelLimits:
    return d.ModelLimits(
        max_call_duration=_seconds(message, "max_call_duration"),
        max_concurrent_calls=message.max_concurrent_calls or None,
        max_queued_calls=message.max_queued_calls or None,
        context_tokens=message.context_tokens or None,
        max_output_tokens=message.max_output_tokens or None,
    )


def route(message: discovery_service_pb2.ResolveResponse) -> d.Route:
    """Give where a call would go."""
    return d.Route(model(message.model), message.instance_id, tuple(endpoint.address for endpoint in message.endpoints))


def change(message: discovery_service_pb2.WatchResponse) -> d.Change | None:
    """Give a change; None for one of a kind that this client does not know."""
    kind = message.WhichOneof("change")
    read = _CHANGES.get(kind) if kind else None
    return d.Change(message.version, **{kind: read(getattr(message, kind))}) if kind and read else None


def _service(message: discovery_service_pb2.ServiceChange) -> d.ServiceChange:
    return d.ServiceChange(message.provider_id, message.instance_id, service_status.from_proto(message.status))


_CHANGES: dict[str, Callable[[Any], Any]] = {
    "provider": provider,
    "provider_removed": str,
    "model": model,
    "model_removed": lambda key: (key.provider_id, key.model_id),
    "service": _service,
    "snapshot_complete": lambda _: True,
}


def diagnostics(message: media_provider_service_pb2.GetDiagnosticsResponse) -> d.Diagnostics:
    """Give what is known of one recent call."""
    return d.Diagnostics(
        request_id=message.request_id,
        instance_id=message.instance_id,
        trace_id=message.trace_id,
        started=message.start_time.ToNanoseconds() / 1e9,
        ended=message.end_time.ToNanoseconds() / 1e9 if message.HasField("end_time") else None,
        outcome=message.outcome,
        reason=message.reason,
        log_lines=tuple(message.log_lines),
    )


def configured(message: media_provider_service_pb2.ConfigureResponse) -> d.Configured:
    """Give what a configure call changed."""
    return d.Configured(tuple(message.changed), message.instance_count)
