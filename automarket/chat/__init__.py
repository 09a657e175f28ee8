"""Conversations with language models as plain values, the same for whoever asks and for whoever answers."""

from automarket.chat.messages import (
    CONVERSATION_TYPE,
    Conversation,
    MediaPart,
    Message,
    MessageRole,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from automarket.chat.options import ResponseFormat, TextToTextOptions, Tool, ToolChoice
from automarket.chat.results import Completion, FinishReason, TokenUsage

__all__ = [
    "CONVERSATION_TYPE",
    "Completion",
    "Conversation",
    "FinishReason",
    "MediaPart",
    "Message",
    "MessageRole",
    "ReasoningPart",
    "ResponseFormat",
    "TextPart",
    "TextToTextOptions",
    "TokenUsage",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "ToolResult",
]
