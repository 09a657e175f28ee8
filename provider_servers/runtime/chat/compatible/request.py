"""A conversation and its options as the body of POST /chat/completions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from automarket.chat.messages import MessageRole, ReasoningPart, TextPart, ToolCall, ToolResult
from automarket.errors import ConversationInvalid
from provider_servers.runtime.conversation import Attachment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from automarket.chat.options import ResponseFormat, TextToTextOptions, Tool, ToolChoice
    from provider_servers.runtime.conversation import ChatMessage

_SOUND_FORMATS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}
_SAME_NAMES = ("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty")


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where servers of this API differ in what they are asked.

    Attributes:
        max_tokens: the name of the bound on what is written.
        asks_for_usage: whether usage has to be asked for.
        effort: where the reasoning effort goes: a field of its own, or a member of `reasoning`.
        gives_reasoning_back: whether earlier reasoning is sent with the conversation; others refuse or ignore it.
    """

    max_tokens: str = "max_tokens"
    asks_for_usage: bool = True
    effort: Literal["reasoning_effort", "reasoning.effort"] = "reasoning_effort"
    gives_reasoning_back: bool = False

    def option_names(self) -> dict[str, str]:
        """Give our options by the names that servers use in errors."""
        same = (*_SAME_NAMES, "stop", "response_format", "tools", "tool_choice")
        return {**{name: name for name in same}, self.max_tokens: "max_tokens", self.effort: "reasoning_effort"}


async def request_body(
    model: str,
    messages: Sequence[ChatMessage],
    options: TextToTextOptions,
    dialect: Dialect,
    own: Mapping[str, Any],
) -> dict[str, Any]:
    """Give the body of a request for a stream.

    Args:
        model: its id at the server.
        messages: the conversation, what the system is told included.
        options: the typed options.
        dialect: of the server.
        own: options of the model itself; they are sent as they are.

    Raises:
        ConversationInvalid: a part has no form in this API.
    """
    body: dict[str, Any] = {"model": model, "messages": await _messages(messages, dialect), "stream": True}
    if dialect.asks_for_usage:
        body["stream_options"] = {"include_usage": True}
    for name in _SAME_NAMES:
        if (value := getattr(options, name)) is not None:
            body[name] = value
    if options.max_tokens is not None:
        body[dialect.max_tokens] = options.max_tokens
    if options.stop:
        body["stop"] = list(options.stop)
    if options.response_format is not None:
        body["response_format"] = _format(options.response_format)
    if options.tools:
        body["tools"] = [_tool(tool) for tool in options.tools]
    if options.tool_choice is not None:
        body["tool_choice"] = _choice(options.tool_choice)
    if options.reasoning_effort is not None:
        nested = dialect.effort != "reasoning_effort"
        body |= (
            {"reasoning": {"effort": options.reasoning_effort}}
            if nested
            else {"reasoning_effort": options.reasoning_effort}
        )
    return body | dict(own)


async def _messages(messages: Iterable[ChatMessage], dialect: Dialect) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = []
    for message in messages:
        if message.role == MessageRole.TOOL:
            written += [_result(result) for result in message.tool_results]
        elif message.role == MessageRole.ASSISTANT:
            written.append(_assistant(message, dialect))
        else:
            written.append({"role": str(message.role), "content": await _content(message)} | _name(message))
    return written


def _name(message: ChatMessage) -> dict[str, str]:
    return {"name": message.name} if message.name else {}


async def _content(message: ChatMessage) -> str | list[dict[str, Any]]:
    """Give plain text as such, which every server takes, and anything else as parts."""
    if not message.attachments:
        texts = [part.text for part in message.parts if isinstance(part, TextPart)]
        return texts[0] if len(texts) == 1 else [{"type": "text", "text": text} for text in texts]
    parts: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            parts.append({"type": "text", "text": part.text})
        elif isinstance(part, Attachment):
            parts.append(await _media(part))
    return parts


async def _media(part: Attachment) -> dict[str, Any]:
    if part.kind == "image":
        return {"type": "image_url", "image_url": {"url": await part.data_url()}}
    if part.kind == "file":
        name = part.file_name or "file.pdf"
        return {"type": "file", "file": {"filename": name, "file_data": await part.data_url()}}
    data = await part.base64()
    if part.media_type not in _SOUND_FORMATS:
        fault = f"{part.media_type} is not taken"
        fields = {part.field: fault} if part.field else None
        raise ConversationInvalid(f"the model takes no sound of type {part.media_type}", fields=fields)
    return {"type": "input_audio", "input_audio": {"data": data, "format": _SOUND_FORMATS[part.media_type]}}


def _assistant(message: ChatMessage, dialect: Dialect) -> dict[str, Any]:
    calls = [_call(call) for call in message.tool_calls]
    written: dict[str, Any] = {"role": "assistant", "content": message.text or (None if calls else "")}
    if calls:
        written["tool_calls"] = calls
    if dialect.gives_reasoning_back:
        thoughts = "".join(part.text for part in message.parts if isinstance(part, ReasoningPart))
        written |= {"reasoning": thoughts} if thoughts else {}
    return written | _name(message)


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    return {"id": call.id, "type": "function", "function": function}


def _result(result: ToolResult) -> dict[str, Any]:
    """Give what a tool gave. This API cannot say that it failed, so the text does."""
    text = f"Error: {result.text}" if result.is_error else result.text
    return {"role": "tool", "tool_call_id": result.tool_call_id, "content": text}


def _format(wanted: ResponseFormat) -> dict[str, Any]:
    if wanted.kind == "text":
        return {"type": "text"}
    if wanted.kind == "json":
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": wanted.name, "schema": dict(wanted.schema)}
    schema |= {"description": wanted.description} if wanted.description else {}
    schema |= {} if wanted.strict is None else {"strict": wanted.strict}
    return {"type": "json_schema", "json_schema": schema}


def _tool(tool: Tool) -> dict[str, Any]:
    parameters = dict(tool.parameters) or {"type": "object", "properties": {}}
    function: dict[str, Any] = {"name": tool.name, "parameters": parameters}
    function |= {"description": tool.description} if tool.description else {}
    function |= {} if tool.strict is None else {"strict": tool.strict}
    return {"type": "function", "function": function}


def _choice(choice: ToolChoice) -> str | dict[str, Any]:
    return {"type": "function", "function": {"name": choice.tool}} if choice.tool else choice.mode
