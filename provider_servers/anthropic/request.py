"""A conversation and its options as the body of POST /v1/messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from automarket.chat.messages import MessageRole, ReasoningPart, TextPart, ToolCall, ToolResult
from automarket.errors import OptionInvalid
from provider_servers.anthropic.stream import REDACTED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from automarket.chat.options import TextToTextOptions, Tool, ToolChoice
    from provider_servers.runtime.conversation import Attachment, ChatMessage

DEFAULT_MAX_TOKENS = 8192
MIN_BUDGET = 1024
OPTION_NAMES = {
    **{name: name for name in ("temperature", "top_p", "top_k", "max_tokens", "tools", "tool_choice")},
    "stop_sequences": "stop",
    "thinking": "reasoning_effort",
    "output_config": "response_format",
    "system": "system_prompt",
}
_BUDGETS = {"low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_768, "max": 65_536}
_ID = re.compile(r"[^a-zA-Z0-9_-]")


async def request_body(
    model: str,
    messages: Sequence[ChatMessage],
    options: TextToTextOptions,
    *,
    max_tokens: int | None,
    adaptive: bool,
    own: Mapping[str, Any],
) -> dict[str, Any]:
    """Give the body of a request for a stream.

    What the system is told goes first, wherever in the conversation it stands: this API has one place for it. Reasoning
    goes back only with its signature.

    Args:
        model: its id.
        messages: the conversation.
        options: the typed options.
        max_tokens: what the model writes at most, for when the caller names no bound; None is not known.
        adaptive: the model chooses by itself how much it thinks; others are given a number of tokens.
        own: options of the model itself; they are sent as they are.

    Raises:
        OptionInvalid: there is no room for reasoning within max_tokens.
    """
    most = options.max_tokens or max_tokens or DEFAULT_MAX_TOKENS
    body: dict[str, Any] = {"model": model, "max_tokens": most, "stream": True}
    told = [part for one in messages if one.role == MessageRole.SYSTEM for part in one.parts]
    if system := [{"type": "text", "text": part.text} for part in told if isinstance(part, TextPart) and part.text]:
        body["system"] = system
    body["messages"] = [await _message(one) for one in messages if one.role != MessageRole.SYSTEM]
    for name in ("temperature", "top_p", "top_k"):
        if (value := getattr(options, name)) is not None:
            body[name] = value
    if options.stop:
        body["stop_sequences"] = list(options.stop)
    if options.tools:
        body["tools"] = [_tool(tool) for tool in options.tools]
    if options.tool_choice is not None:
        body["tool_choice"] = _choice(options.tool_choice)
    body |= _output(options, adaptive=adaptive, most=most)
    return body | dict(own)


def _output(options: TextToTextOptions, *, adaptive: bool, most: int) -> dict[str, Any]:
    """Give how much to think, and what the answer has to look like."""
    body: dict[str, Any] = {}
    config: dict[str, Any] = {}
    effort, wanted = options.reasoning_effort, options.response_format
    if effort == "none":
        body["thinking"] = {"type": "disabled"}
    elif effort is not None and adaptive:
        body["thinking"] = {"type": "adaptive"}
        config["effort"] = effort
    elif effort is not None:
        body["thinking"] = {"type": "enabled", "budget_tokens": _budget(effort, most)}
    if wanted is not None and wanted.kind == "json_schema":
        config["format"] = {"type": "json_schema", "schema": dict(wanted.schema)}
    return body | ({"output_config": config} if config else {})


def _budget(effort: str, most: int) -> int:
    if most <= MIN_BUDGET:
        message = f"reasoning takes at least {MIN_BUDGET:,} tokens, and max_tokens is {most:,}"
        fields = {"header.text_to_text.max_tokens": f"more than {MIN_BUDGET:,} for reasoning"}
        raise OptionInvalid(message, hint="allow more tokens, or leave reasoning_effort out", fields=fields)
    return max(MIN_BUDGET, min(_BUDGETS.get(effort, MIN_BUDGET), most - MIN_BUDGET))


async def _message(message: ChatMessage) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            if part.text:  # an empty block is refused
                blocks.append({"type": "text", "text": part.text})
        elif isinstance(part, ReasoningPart):
            blocks += _thinking(part)
        elif isinstance(part, ToolCall):
            given = msgspec.Raw((part.arguments or "{}").encode())
            blocks.append({"type": "tool_use", "id": _id(part.id), "name": part.name, "input": given})
        elif isinstance(part, ToolResult):
            blocks.append(_result(part))
        else:
            blocks.append(await _media(part))
    if message.name:  # there is no other place for it
        blocks.insert(0, {"type": "text", "text": f"{message.name}:"})
    return {"role": "assistant" if message.role == MessageRole.ASSISTANT else "user", "content": blocks}


def _thinking(part: ReasoningPart) -> list[dict[str, Any]]:
    if part.signature.startswith(REDACTED):
        return [{"type": "redacted_thinking", "data": part.signature.removeprefix(REDACTED)}]
    if not part.signature:
        return []
    return [{"type": "thinking", "thinking": part.text, "signature": part.signature}]


def _result(part: ToolResult) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": _id(part.tool_call_id), "content": part.text}
    return block | ({"is_error": True} if part.is_error else {})


async def _media(part: Attachment) -> dict[str, Any]:
    titled = {"title": part.file_name[:500]} if part.kind == "file" and part.file_name else {}
    if part.kind == "file" and part.media_type == "text/plain":
        text = (await part.data()).decode("utf-8", "replace")
        source = {"type": "text", "media_type": "text/plain", "data": text}
        return {"type": "document", "source": source} | titled
    data = await part.base64()
    source = {"type": "base64", "media_type": part.media_type, "data": data}
    return {"type": "image" if part.kind == "image" else "document", "source": source} | titled


def _id(call_id: str) -> str:
    """Give the identity of a call in the characters that this API takes; other vendors have others."""
    return _ID.sub("_", call_id)


def _tool(tool: Tool) -> dict[str, Any]:
    schema = dict(tool.parameters) or {"type": "object", "properties": {}}
    written: dict[str, Any] = {"name": tool.name, "input_schema": schema}
    written |= {"description": tool.description} if tool.description else {}
    return written | ({} if tool.strict is None else {"strict": tool.strict})


def _choice(choice: ToolChoice) -> dict[str, str]:
    if choice.tool:
        return {"type": "tool", "name": choice.tool}
    return {"type": "any" if choice.mode == "required" else choice.mode}
