"""Options that language models share, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

ToolMode: TypeAlias = Literal["auto", "none", "required"]
FormatKind: TypeAlias = Literal["text", "json", "json_schema"]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that a model may call.

    Attributes:
        name: 1 to 64 characters of A-Z, a-z, 0-9, "_" and "-".
        description: what it does and when to call it.
        parameters: JSON Schema (draft 2020-12, type "object") of its arguments; empty is an object without members.
        strict: keep to the schema without exception, at vendors that tell the two apart; None leaves it to them.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Which tools a model has to call.

    Attributes:
        mode: "auto" as it sees fit, "none" never, "required" at least one.
        tool: the one tool that it has to call; empty where `mode` says it all.
    """

    mode: ToolMode = "required"
    tool: str = ""


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """What an answer has to look like.

    Attributes:
        kind: "text", "json" (an object of any kind) or "json_schema".
        schema: the JSON Schema (draft 2020-12) of the answer; its order is kept.
        name: of the schema: 1 to 64 characters of A-Z, a-z, 0-9, "_" and "-".
        description: what the answer is for.
        strict: keep to the schema without exception, at vendors that tell the two apart; None leaves it to them.
    """

    kind: FormatKind = "json_schema"
    schema: Mapping[str, Any] = field(default_factory=dict[str, Any])
    name: str = "answer"
    description: str = ""
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class TextToTextOptions:
    """Options of a language model; what is None is the model's choice. A model refuses those that it lacks.

    Attributes:
        temperature: randomness, 0 (none) to 2.
        top_p: choose among the likeliest tokens that have this probability together: above 0, at most 1.
        top_k: choose among so many of the likeliest tokens.
        max_tokens: write at most so many tokens, reasoning included.
        system_prompt: what the model is to be and to do; it goes before the conversation.
        stop: texts that end the answer and are no part of it.
        seed: equal seeds give equal texts, as far as the engine can.
        presence_penalty: makes what was said already less likely: -2 to 2.
        frequency_penalty: makes what was said often less likely: -2 to 2.
        response_format: what the answer has to look like; None is text.
        tools: tools that the model may call.
        tool_choice: whether it calls one; None leaves it to the model.
        reasoning_effort: how much to think first: "none", "minimal", "low", "medium", "high", or what else the model's
            options schema lists.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    system_prompt: str | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    response_format: ResponseFormat | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    reasoning_effort: str | None = None
