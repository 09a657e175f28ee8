"""What the mesh says of itself: capabilities, providers and models, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automarket.assets.roles import Role
    from automarket.media.info import AudioFormat, ImageFormat
    from automarket.service_status import ServiceStatus


class ProviderKind(StrEnum):
    """Where the models of a provider run."""

    LOCAL = "local"
    REMOTE = "remote"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether something can take work now; if not, why and what mends it.

    `error_reason` is the reason of the error that a call would get, where the provider names one: "DOCKER_MISSING".
    """

    available: bool
    reason: str = ""
    hint: str = ""
    error_reason: str = ""


@dataclass(frozen=True, slots=True)
class CapabilityInfo:
    """One capability as the mesh knows it; `model_count` counts the models that have it or a child of it.

    `output_role` is None where no role fits (vectors, three-dimensional models).
    """

    name: str
    aliases: tuple[str, ...]
    parents: tuple[str, ...]
    input_roles: tuple[Role, ...]
    output_role: Role | None
    model_count: int


@dataclass(frozen=True, slots=True)
class InstanceInfo:
    """One running server of a provider; `max_concurrent_calls` is 0 where there is no bound."""

    instance_id: str
    active_calls: int
    queued_calls: int
    max_concurrent_calls: int
    draining: bool


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """A source of models. `settings_schema` is the JSON Schema of what `configure` takes, None when nothing."""

    id: str
    aliases: tuple[str, ...]
    name: str
    description: str
    version: str
    kind: ProviderKind
    availability: Availability
    capabilities: tuple[str, ...]
    settings_schema: dict[str, Any] | None
    instances: tuple[InstanceInfo, ...]


@dataclass(frozen=True, slots=True)
class InputLimits:
    """Bounds of one input; None where it has none. Durations are seconds."""

    max_bytes: int | None = None
    max_duration: float | None = None
    min_duration: float | None = None
    max_characters: int | None = None
    max_count: int | None = None


@dataclass(frozen=True, slots=True)
class SlotInfo:
    """One input of a model; assets of other roles are cast to `role` and `format` where possible."""

    name: str
    role: Role | None
    optional: bool
    repeated: bool
    media_types: tuple[str, ...]
    format: AudioFormat | ImageFormat | None
    limits: InputLimits
    description: str


@dataclass(frozen=True, slots=True)
class OutputInfo:
    """One output of a model; `media_types` are those that it can make, preferred first."""

    name: str
    role: Role | None
    media_types: tuple[str, ...]
    streamed: bool


@dataclass(frozen=True, slots=True)
class Pricing:
    """Price of one unit of input, of output, and of input from the vendor's cache where that differs."""

    unit: str
    input_cost: float
    output_cost: float
    currency: str
    cached_input_cost: float | None = None


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """Bounds of one call; None where it has none. The duration is seconds.

    `context_tokens` is what a language model has in view, its answer included; `max_output_tokens` what it writes.
    """

    max_call_duration: float | None = None
    max_concurrent_calls: int | None = None
    max_queued_calls: int | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One thing that a provider can run.

    `options_schema` is the JSON Schema of every option that it takes; `pricing` is None when unknown. One that is
    `long_running` may take minutes and is best made a job; calls of one that is `resumable` go on after a loss. The
    options and slots of one that is `from_vendor_schema` were read from the vendor's own schema.
    """

    id: str
    canonical_id: str
    aliases: tuple[str, ...]
    name: str
    description: str
    version: str
    provider_id: str
    capabilities: tuple[str, ...]
    inputs: tuple[SlotInfo, ...]
    outputs: tuple[OutputInfo, ...]
    options_schema: dict[str, Any] | None
    pricing: Pricing | None
    limits: ModelLimits
    replay_safe: bool
    interleaved_inputs: bool
    availability: Availability
    long_running: bool = False
    resumable: bool = False
    from_vendor_schema: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """Where a call would go: the model, the instance, and its addresses, nearest first."""

    model: ModelInfo
    instance_id: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Configured:
    """What `configure` changed: names of settings, never their values, and how many instances took them."""

    changed: tuple[str, ...]
    instance_count: int


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """What is known of one recent call. Times are seconds since 1970; `ended` is None while it runs."""

    request_id: str
    instance_id: str
    trace_id: str
    started: float
    ended: float | None
    outcome: str
    reason: str
    log_lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """How the backend of one instance is now. Instances without a backend that has to be started have none."""

    provider_id: str
    instance_id: str
    status: ServiceStatus


@dataclass(frozen=True, slots=True)
class Change:
    """One change that `watch` reports.

    Exactly one of the rest is set: a provider or model that is new or has changed, one that is gone (a provider's id; a
    provider's and a model's), how a backend is now, or the mark that everything that was there at the start has been
    reported.
    """

    version: int
    provider: ProviderInfo | None = None
    model: ModelInfo | None = None
    provider_removed: str | None = None
    model_removed: tuple[str, str] | None = None
    service: ServiceChange | None = None
    snapshot_complete: bool = False
