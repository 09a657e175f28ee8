"""What is wrong with a conversation, found at the door: before anything waits, is fetched or is billed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from automarket.chat.messages import MediaKind, MessageRole
from automarket.digests import check_digest
from automarket.errors import ChunkTooLarge, ConversationInvalid, DigestInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automarket.v1 import conversation_pb2
    from provider_servers.runtime.describe import Model, Slot

MAX_INLINE_BYTES = 64 * 1024
MAX_MEDIA = 256
_TAKES: Mapping[MessageRole, tuple[str, ...]] = {
    MessageRole.SYSTEM: ("text",),
    MessageRole.USER: ("text", "image", "audio", "file"),
    MessageRole.ASSISTANT: ("text", "reasoning", "tool_call"),
    MessageRole.TOOL: ("tool_result",),
}
_MEDIA: Mapping[str, MediaKind] = {"image": "image", "audio": "audio", "file": "file"}
_SLOTS: Mapping[MediaKind, str] = {"image": "images", "audio": "audio", "file": "files"}


def media_slot(model: Model, kind: MediaKind) -> Slot | None:
    """Give the slot whose rules media of a kind follows; None when the model takes none of that kind."""
    return next((slot for slot in model.inputs if slot.name == _SLOTS[kind]), None)


def check_conversation(conversation: conversation_pb2.Conversation, field: str, model: Model) -> None:
    """Check a conversation.

    Args:
        conversation: what was said.
        field: the field of the request that it is.
        model: the model that is asked.

    Raises:
        ConversationInvalid: it breaks a rule of the contract, or has parts that the model does not take.
        ChunkTooLarge: media inline is over 64 KiB.
        DigestInvalid: a digest is none.
    """
    if not conversation.messages:
        raise _invalid("the conversation is empty", f"{field}.messages", "at least one message")
    checker = _Checker(model)
    for number, message in enumerate(conversation.messages):
        checker.check(message, f"{field}.messages[{number}]")


class _Checker:
    """Goes through the messages in order."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._calls: set[str] = set()
        self._media = 0

    def check(self, message: conversation_pb2.ChatMessage, field: str) -> None:
        role = MessageRole.from_number(message.role)
        if role is None:
            fault = f"unknown role {message.role}" if message.role else "required"
            hint = f"a role is one of {', '.join(MessageRole)}"
            raise _invalid("a message has no role that is known", f"{field}.role", fault, hint)
        if not message.parts:
            raise _invalid("a message has no parts", f"{field}.parts", "at least one part")
        for number, part in enumerate(message.parts):
            self._check_part(role, part, f"{field}.parts[{number}]")

    def _check_part(self, role: MessageRole, part: conversation_pb2.MessagePart, field: str) -> None:
        kind = part.WhichOneof("part")
        if kind is None:
            raise _invalid("a part of a message is none that is known", field, "required")
        if kind not in _TAKES[role]:
            words = kind.replace("_", " ")
            message = f"a message of the role {role} has no {words}"
            raise _invalid(message, f"{field}.{kind}", f"not in a message of the role {role}")
        if kind == "tool_call":
            self._check_call(part.tool_call, f"{field}.tool_call")
        elif kind == "tool_result" and part.tool_result.tool_call_id not in self._calls:
            message = f"a tool result answers the call {part.tool_result.tool_call_id!r}, which was not made before"
            hint = "repeat the assistant's message with its tool calls before their results"
            raise _invalid(message, f"{field}.tool_result.tool_call_id", "there is no such call", hint)
        elif kind in _MEDIA:
            self._check_media(_MEDIA[kind], getattr(part, kind), f"{field}.{kind}")

    def _check_call(self, call: conversation_pb2.ToolCall, field: str) -> None:
        if not call.id or call.id in self._calls:
            fault = f"{call.id!r} is given twice" if call.id else "required"
            raise _invalid("a tool call has no identity of its own", f"{field}.id", fault)
        if not call.name:
            raise _invalid("a tool call names no tool", f"{field}.name", "required")
        if call.arguments and not _is_object(call.arguments):
            raise _invalid("the arguments of a tool call are no JSON object", f"{field}.arguments", "no JSON object")
        self._calls.add(call.id)

    def _check_media(self, kind: MediaKind, media: conversation_pb2.MediaPart, field: str) -> None:
        slot = media_slot(self._model, kind)
        if slot is None:
            plural = {"image": "pictures", "audio": "sound", "file": "files"}[kind]
            message = f"model {self._model.id} takes no {plural}"
            raise _invalid(
                message, field, f"the model takes no {kind} parts", "see `automarket models` for what it takes"
            )
        self._media += 1
        if self._media > MAX_MEDIA:
            raise _invalid(f"a conversation has at most {MAX_MEDIA} parts of media", field, "too many")
        source = media.WhichOneof("source")
        if source is None or (source == "inline" and not media.inline):
            raise _invalid("media in a message has no bytes", f"{field}.source", "required")
        if source == "digest":
            _check_digest(media.digest, f"{field}.digest")
        elif len(media.inline) > MAX_INLINE_BYTES:
            message = f"media in a message is {len(media.inline):,} bytes inline; at most {MAX_INLINE_BYTES:,} are"
            raise ChunkTooLarge(message, hint="upload it and send its digest", fields={f"{field}.inline": "too long"})
        if kind == "file":
            _check_file(media, slot, field)


def _check_file(media: conversation_pb2.MediaPart, slot: Slot, field: str) -> None:
    if not media.media_type:
        raise _invalid("a file in a message has no media type", f"{field}.media_type", "required for a file")
    if slot.media_types and media.media_type not in slot.media_types:
        message = f"the model reads no files of type {media.media_type[:80]}"
        raise _invalid(message, f"{field}.media_type", "not taken", f"it reads {', '.join(slot.media_types)}")


def _check_digest(digest: str, field: str) -> None:
    try:
        check_digest(digest)
    except DigestInvalid as error:
        raise DigestInvalid(error.message, hint=error.hint, fields={field: "no digest"}) from None


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _invalid(message: str, field: str, fault: str, hint: str | None = None) -> ConversationInvalid:
    return ConversationInvalid(message, hint=hint, fields={field: fault})
