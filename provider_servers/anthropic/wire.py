"""What of the messages API is read; event names, block types and delta types that are not known are skipped.

Source: Anthropic's OpenAPI description of version 2023-06-01, 2026-08.
"""

from __future__ import annotations

from typing import Any

import msgspec


class OutputDetails(msgspec.Struct, gc=False):
    """Of the tokens written."""

    thinking_tokens: int | None = None


class Usage(msgspec.Struct, gc=False):
    """What was used so far: later ones replace earlier ones, they are never added up."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None


class Block(msgspec.Struct, gc=False):
    """A part of a message, at its beginning or whole."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()


class Delta(msgspec.Struct, gc=False):
    """More of a part, or what is known of the message in the end."""

    type: str = ""
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    stop_reason: str | None = None


class Message(msgspec.Struct, gc=False):
    """A message, at its beginning or whole."""

    id: str | None = None
    model: str | None = None
    content: list[Block] | None = None
    stop_reason: str | None = None
    usage: Usage | None = None


class Event(msgspec.Struct, gc=False):
    """One event of a stream."""

    type: str = ""
    index: int = 0
    message: Message | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    usage: Usage | None = None
    error: Any = None


class Whole(Message, gc=False, kw_only=True):
    """An answer that is not a stream: a message, or an error."""

    type: str = ""
    error: Any = None


class Support(msgspec.Struct):
    """Whether a model can do something."""

    supported: bool = False


class ThinkingTypes(msgspec.Struct):
    """How a model can be told to think."""

    enabled: Support = msgspec.field(default_factory=Support)
    adaptive: Support = msgspec.field(default_factory=Support)


class Thinking(msgspec.Struct):
    """Whether and how a model thinks."""

    supported: bool = False
    types: ThinkingTypes = msgspec.field(default_factory=ThinkingTypes)


class Capabilities(msgspec.Struct):
    """What a model can do; what is not said it can."""

    image_input: Support = msgspec.field(default_factory=lambda: Support(supported=True))
    pdf_input: Support = msgspec.field(default_factory=lambda: Support(supported=True))
    structured_outputs: Support = msgspec.field(default_factory=lambda: Support(supported=True))
    effort: Support = msgspec.field(default_factory=lambda: Support(supported=True))
    thinking: Thinking = msgspec.field(
        default_factory=lambda: Thinking(supported=True, types=ThinkingTypes(adaptive=Support(supported=True)))
    )


class ListedModel(msgspec.Struct):
    """One entry of the list of models."""

    id: str
    display_name: str = ""
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    capabilities: Capabilities | None = None


class ModelList(msgspec.Struct):
    """One page of the list."""

    data: list[ListedModel]
    has_more: bool = False
    last_id: str | None = None


decode_event = msgspec.json.Decoder(Event).decode
decode_whole = msgspec.json.Decoder(Whole).decode
