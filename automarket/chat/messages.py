"""Messages of a conversation, as plain values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from automarket.errors import ConversationInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from automarket.assets import Asset, Text
    from automarket.stored import StoredAsset

CONVERSATION_TYPE = "application/vnd.automarket.conversation+json"
"""Media type of a conversation; a model whose slot lists it takes conversations."""

MediaKind: TypeAlias = Literal["image", "audio", "file"]


class MessageRole(StrEnum):
    """Who says something; `number` is its value in `automarket.v1.MessageRole`."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"

    @property
    def number(self) -> int:
        """The enum value of the contract."""
        return _ROLES.index(self) + 1

    @classmethod
    def from_number(cls, number: int) -> MessageRole | None:
        """Give the role of an enum value; None for unspecified and unknown ones."""
        return _ROLES[number - 1] if 1 <= number <= len(_ROLES) else None


_ROLES = tuple(MessageRole)


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """What a model thought; `signature` is the vendor's seal on it, empty where there is none."""

    text: str
    signature: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool, as a model asks for it; `arguments` is a JSON object as it wrote it, or empty."""

    id: str
    name: str
    arguments: str = ""

    @property
    def parsed(self) -> dict[str, Any]:
        """The arguments.

        Raises:
            ConversationInvalid: the model wrote what is no JSON object.
        """
        try:
            value = json.loads(self.arguments or "{}")
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            message = f"the arguments of the call of tool {self.name!r} are no JSON object"
            raise ConversationInvalid(message, hint="ask the model again", fields={"arguments": "no JSON object"})
        return cast("dict[str, Any]", value)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call of a tool gave."""

    tool_call_id: str
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class MediaPart:
    """Media that goes to a model within a message.

    Attributes:
        kind: "image", "audio" or "file"; a file is for the model to read, and is never cast.
        source: the media itself, or where it is.
        media_type: needed for bytes that are a file; otherwise content says it.
        file_name: for people and for models that read it; a path's own name by default.
    """

    kind: MediaKind
    source: Asset | StoredAsset | Path | bytes
    media_type: str = ""
    file_name: str = ""


Part: TypeAlias = TextPart | ReasoningPart | ToolCall | ToolResult | MediaPart


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        role: who says it.
        parts: what it says, in order.
        name: which of several users or assistants it is.
    """

    role: MessageRole
    parts: tuple[Part, ...]
    name: str = ""

    @classmethod
    def system(cls, text: str) -> Message:
        """Say what the model is to be and to do."""
        return cls(MessageRole.SYSTEM, (TextPart(text),))

    @classmethod
    def user(cls, *parts: str | MediaPart) -> Message:
        """Ask something: text and media, in order."""
        return cls(MessageRole.USER, tuple(TextPart(part) if isinstance(part, str) else part for part in parts))

    @classmethod
    def assistant(cls, *parts: str | ToolCall | ReasoningPart) -> Message:
        """Say what the model answered: text, tool calls and reasoning, in order."""
        return cls(MessageRole.ASSISTANT, tuple(TextPart(part) if isinstance(part, str) else part for part in parts))

    @classmethod
    def tool(cls, tool_call_id: str, text: str, *, is_error: bool = False) -> Message:
        """Say what a tool call gave."""
        return cls(MessageRole.TOOL, (ToolResult(tool_call_id, text, is_error),))

    @classmethod
    def answered(cls, text: Text) -> Message:
        """Say what a model answered, by the Text that it gave: reasoning and tool calls included."""
        said = (TextPart(content),) if (content := text.content) else ()
        parts: tuple[Part, ...] = (*text.metadata.reasoning, *said, *text.metadata.tool_calls)
        return cls(MessageRole.ASSISTANT, parts or (TextPart(""),))

    @classmethod
    def of(cls, value: Message | Mapping[str, Any]) -> Message:
        """Give a message, or one that is written as a dictionary: {"role": "user", "content": "hello"}.

        Besides `role` and `content` (text, or a list of text and parts) a dictionary may have `name`, an assistant's
        `tool_calls` (a list of ToolCall), and a tool's `tool_call_id`.

        Raises:
            ConversationInvalid: it is none; the error names the member.
        """
        return value if isinstance(value, Message) else _of_mapping(value)

    @property
    def text(self) -> str:
        """Its text parts, one after another."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """Its tool calls, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


_OTHER_NAMES = {"developer": MessageRole.SYSTEM, "model": MessageRole.ASSISTANT}
_MEMBERS = ("role", "content", "name", "tool_calls", "tool_call_id")


def _of_mapping(value: Mapping[str, Any]) -> Message:
    for member in value:
        if member not in _MEMBERS:
            raise _invalid(member, f"a message has no member {member!r}", f"it has: {', '.join(_MEMBERS)}")
    given = str(value.get("role", ""))
    role = _OTHER_NAMES.get(given) or next((one for one in MessageRole if one == given), None)
    if role is None:
        raise _invalid("role", f"{given!r} is no role of a message", f"a role is one of {', '.join(MessageRole)}")
    content = value.get("content", "")
    if role is MessageRole.TOOL:
        return Message.tool(str(value.get("tool_call_id", "")), str(content))
    listed = cast("Iterable[Any]", content) if isinstance(content, list | tuple) else (content,) if content else ()
    parts = [*map(_part, listed), *map(_tool_call, value.get("tool_calls") or ())]
    return Message(role, tuple(parts) or (TextPart(""),), str(value.get("name", "")))


def _part(value: Any) -> Part:
    if isinstance(value, str):
        return TextPart(value)
    if isinstance(value, TextPart | ReasoningPart | ToolCall | ToolResult | MediaPart):
        return value
    raise _invalid("content", f"a {type(value).__name__} is no part of a message", "text, MediaPart, ToolCall, ...")


def _tool_call(value: Any) -> ToolCall:
    if isinstance(value, ToolCall):
        return value
    raise _invalid("tool_calls", f"a {type(value).__name__} is no ToolCall", "ToolCall(id, name, arguments)")


def _invalid(member: str, message: str, hint: str) -> ConversationInvalid:
    return ConversationInvalid(message, hint=hint, fields={member: message})


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said so far, oldest first: an input of models that take conversations."""

    messages: tuple[Message, ...]

    @classmethod
    def of(cls, messages: Conversation | Iterable[Message | Mapping[str, Any]]) -> Conversation:
        """Give a conversation of messages, which may be written as dictionaries; see `Message.of`.

        Raises:
            ConversationInvalid: there are none, or one of them is none.
        """
        made = messages if isinstance(messages, Conversation) else cls(tuple(map(Message.of, messages)))
        if not made.messages:
            raise _invalid("messages", "the conversation is empty", "it has at least one message")
        return made
