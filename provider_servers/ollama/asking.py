"""What the mesh asks, in the API's words: POST /api/chat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from automarket.chat import MessageRole, ReasoningPart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from automarket.chat import ResponseFormat, TextToTextOptions, Tool
    from provider_servers.runtime import ChatMessage

# What the API calls options of the engine.
_NAMES = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_tokens": "num_predict",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "context_tokens": "num_ctx",
}


def engine_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Give the options of a call as the API's `options`."""
    named = {_NAMES[name]: value for name, value in options.items() if name in _NAMES}
    return named | ({"stop": list(options["stop"])} if options.get("stop") else {})


def further_fields(options: TextToTextOptions) -> dict[str, Any]:
    """Give what a request says beside its messages and the engine's options."""
    fields: dict[str, Any] = {}
    if options.response_format is not None and options.response_format.kind != "text":
        fields["format"] = _format(options.response_format)
    if options.tools:
        fields["tools"] = [_tool(tool) for tool in options.tools]
    if options.reasoning_effort is not None:
        fields["think"] = False if options.reasoning_effort == "none" else options.reasoning_effort
    return fields


def _format(wanted: ResponseFormat) -> Any:
    return "json" if wanted.kind == "json" else dict(wanted.schema)


def _tool(tool: Tool) -> dict[str, Any]:
    parameters = dict(tool.parameters) or {"type": "object", "properties": {}}
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": function}


async def messages(conversation: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """Give a conversation as the API's messages. Results of tools are messages of their own, which name their tools.

    Raises:
        InvalidRequestError: a picture is none.
    """
    tools: dict[str, str] = {}
    made: list[dict[str, Any]] = []
    for message in conversation:
        tools |= {call.id: call.name for call in message.tool_calls}
        if message.role is MessageRole.TOOL:
            made += [
                {"role": "tool", "content": result.text, "tool_name": tools.get(result.tool_call_id, "")}
                for result in message.tool_results
            ]
        else:
            made.append(await _message(message))
    return made


async def _message(message: ChatMessage) -> dict[str, Any]:
    # The API knows no names: whoever speaks is said in the text.
    text = f"{message.name}: {message.text}" if message.name else message.text
    made: dict[str, Any] = {"role": str(message.role), "content": text}
    if message.attachments:
        made["images"] = [await one.base64() for one in message.attachments]
    if message.tool_calls:
        made["tool_calls"] = [{"function": {"name": one.name, "arguments": one.parsed}} for one in message.tool_calls]
    thoughts = "".join(part.text for part in message.parts if isinstance(part, ReasoningPart))
    return made | ({"thinking": thoughts} if thoughts else {})
