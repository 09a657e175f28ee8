"""What every provider server shares. An author needs the names below and writes `models()` and `transform()`."""

from automarket.assets.roles import Role
from automarket.chat import (
    CONVERSATION_TYPE,
    Completion,
    FinishReason,
    MessageRole,
    ReasoningPart,
    ResponseFormat,
    TextPart,
    TextToTextOptions,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from automarket.media.info import AudioFormat, ImageFormat
from automarket.service_status import ServiceState, ServiceStatus
from provider_servers.runtime.backed import BackedProvider, runs_in_docker, waiting
from provider_servers.runtime.call import Call, Resume, ResumeAction
from provider_servers.runtime.chat_model import chat_inputs, text_output
from provider_servers.runtime.conversation import Attachment, ChatMessage
from provider_servers.runtime.describe import (
    Availability,
    Kind,
    Model,
    Output,
    Pricing,
    Provider,
    Slot,
)
from provider_servers.runtime.estimates import Estimate, InputFacts
from provider_servers.runtime.events import (
    Checkpoint,
    Composition,
    Event,
    Generated,
    Media,
    PlacedOverlay,
    Progress,
    ReasoningDelta,
    Resolution,
    Segment,
    Started,
    TextDelta,
    TextResult,
    ToolCallDelta,
    Usage,
    Word,
)
from provider_servers.runtime.family_options import family_schemas
from provider_servers.runtime.text_options import response_formats, text_option_schemas, text_options
from provider_servers.runtime.vendor_options import VendorOptions
from provider_servers.runtime.voices import NewVoice, Voice

__all__ = [
    "CONVERSATION_TYPE",
    "Attachment",
    "AudioFormat",
    "Availability",
    "BackedProvider",
    "Call",
    "ChatMessage",
    "Checkpoint",
    "Completion",
    "Composition",
    "Estimate",
    "Event",
    "FinishReason",
    "Generated",
    "ImageFormat",
    "InputFacts",
    "Kind",
    "Media",
    "MessageRole",
    "Model",
    "NewVoice",
    "Output",
    "PlacedOverlay",
    "Pricing",
    "Progress",
    "Provider",
    "ReasoningDelta",
    "ReasoningPart",
    "Resolution",
    "ResponseFormat",
    "Resume",
    "ResumeAction",
    "Role",
    "Segment",
    "ServiceState",
    "ServiceStatus",
    "Slot",
    "Started",
    "TextDelta",
    "TextPart",
    "TextResult",
    "TextToTextOptions",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolChoice",
    "ToolResult",
    "Usage",
    "VendorOptions",
    "Voice",
    "Word",
    "chat_inputs",
    "family_schemas",
    "response_formats",
    "runs_in_docker",
    "text_option_schemas",
    "text_options",
    "text_output",
    "waiting",
]
