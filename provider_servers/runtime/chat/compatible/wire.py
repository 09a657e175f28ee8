"""What of a chat completion is read. Everything may be missing: servers that speak this API leave out what they like.

Source: OpenAI's OpenAPI description, and the answers of OpenRouter, Together and vLLM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class Function(msgspec.Struct, gc=False):
    """A tool and a piece of its arguments."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct, gc=False):
    """A piece of a tool call."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct, gc=False):
    """A piece of a message, or a whole one. Reasoning has one name or the other."""

    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None


class Choice(msgspec.Struct, gc=False):
    """One answer; only the first is asked for."""

    index: int | None = None
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None
    error: Any = None


class PromptDetails(msgspec.Struct, gc=False):
    """Of the tokens read."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class CompletionDetails(msgspec.Struct, gc=False):
    """Of the tokens written."""

    reasoning_tokens: int | None = None


class Usage(msgspec.Struct, gc=False):
    """What was used. `cost` is OpenRouter's, `reasoning_tokens` at this place Together's."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    cost: float | None = None
    reasoning_tokens: int | None = None


class Chunk(msgspec.Struct, gc=False):
    """One event of a stream, or a whole answer."""

    id: str | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: Usage | None = None
    error: Any = None


decode_chunk = msgspec.json.Decoder(Chunk).decode
_decode_all = msgspec.json.Decoder(list[Chunk]).decode


def decode_chunks(events: Sequence[bytes]) -> list[Chunk] | None:
    """Decode many events at once; None where they are not all chunks, and have to be looked at one by one."""
    try:
        chunks = _decode_all(b"[%b]" % b",".join(events))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return chunks if len(chunks) == len(events) else None
