"""What every provider server shares. An author needs the names below and writes `models()` and `transform()`."""

from automarket.assets.roles import Role
from automarket.media.info import AudioFormat, ImageFormat
from automarket.service_status import ServiceState, ServiceStatus
from provider_servers.runtime.backed import BackedProvider, runs_in_docker, waiting
from provider_servers.runtime.call import Call
from provider_servers.runtime.describe import (
    Availability,
    Kind,
    Model,
    Output,
    Pricing,
    Provider,
    Slot,
)
from provider_servers.runtime.events import (
    Checkpoint,
    Composition,
    Event,
    Media,
    PlacedOverlay,
    Progress,
    Resolution,
    Segment,
    Started,
    TextDelta,
    TextResult,
    Usage,
    Word,
)

__all__ = [
    "AudioFormat",
    "Availability",
    "BackedProvider",
    "Call",
    "Checkpoint",
    "Composition",
    "Event",
    "ImageFormat",
    "Kind",
    "Media",
    "Model",
    "Output",
    "PlacedOverlay",
    "Pricing",
    "Progress",
    "Provider",
    "Resolution",
    "Role",
    "Segment",
    "ServiceState",
    "ServiceStatus",
    "Slot",
    "Started",
    "TextDelta",
    "TextResult",
    "Usage",
    "Word",
    "runs_in_docker",
    "waiting",
]
