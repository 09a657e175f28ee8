"""Reading the conversation of a call, however it came: typed, as JSON, or as a plain text with media beside it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from google.protobuf import json_format

from automarket.chat.messages import (
    CONVERSATION_TYPE,
    MediaKind,
    MessageRole,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from automarket.errors import ConversationInvalid, InputTooLarge, InvalidRequestError
from automarket.v1 import conversation_pb2, transform_pb2
from provider_servers.runtime.conversation import Attachment, ChatMessage, named
from provider_servers.runtime.conversation_faults import check_conversation, media_slot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provider_servers.runtime.call import Call
    from provider_servers.runtime.conversation import ChatPart
    from provider_servers.runtime.describe import Model, Slot
    from provider_servers.runtime.media_input import MediaInput
    from provider_servers.runtime.prepare import Preparer

MAX_BYTES = 64 * 1024 * 1024
_FIRST_PART = 1000  # numbers of parts, beyond those of inputs
_SLOTS: Mapping[str, MediaKind] = {"images": "image", "audio": "audio", "files": "file"}
_MEDIA: Mapping[str, MediaKind] = {"image": "image", "audio": "audio", "file": "file"}
_WORDS: Mapping[MediaKind, str] = {"image": "the picture", "audio": "the sound", "file": "the file"}


def is_conversation(given: transform_pb2.Input) -> bool:
    """Tell whether an input is a conversation, typed or as JSON."""
    return given.WhichOneof("source") == "conversation" or _is_written(given)


def _is_written(given: transform_pb2.Input) -> bool:
    return given.media_type.partition(";")[0].strip().lower() == CONVERSATION_TYPE


class ConversationReader:
    """Reads the conversation of one call.

    Args:
        model: the model that is asked.
        inputs: what the header declares.
        slots: the slot of each input.
        preparer: gives the media of messages.

    Raises:
        ConversationInvalid: a conversation in the header breaks a rule of the contract, is not the only input, or has
            parts that the model does not take.
    """

    def __init__(
        self, model: Model, inputs: Sequence[transform_pb2.Input], slots: Sequence[Slot], preparer: Preparer
    ) -> None:
        self._model = model
        self._preparer = preparer
        self._given: transform_pb2.Input | None = None
        self._field = ""
        self._parts = _FIRST_PART
        for number, (given, slot) in enumerate(zip(inputs, slots, strict=True)):
            if is_conversation(given):
                self._field = f"header.inputs[{number}]"
                self._given = given
                self._check(given, slot, alone=len(inputs) == 1)

    def _check(self, given: transform_pb2.Input, slot: Slot, *, alone: bool) -> None:
        if CONVERSATION_TYPE not in slot.media_types:
            message = f"slot {slot.name!r} of model {self._model.id} takes no conversation"
            raise ConversationInvalid(message, fields={self._field: "no conversation is taken"})
        if not alone:
            hint = "pictures, sound and files are parts of its messages"
            message = "a conversation is the only input of its call"
            raise ConversationInvalid(message, hint=hint, fields={self._field: "not the only input"})
        if given.WhichOneof("source") == "conversation":
            check_conversation(given.conversation, f"{self._field}.conversation", self._model)

    async def read(self, call: Call) -> list[ChatMessage]:
        """Give the messages; the option `system_prompt` is the first one.

        Raises:
            InvalidRequestError: what was given is no conversation and no text, or too much.
        """
        system = call.options.get("system_prompt")
        told = [ChatMessage(MessageRole.SYSTEM, (TextPart(system),))] if system else []
        if self._given is None:
            return [*told, await _plain_message(call)]
        if self._given.WhichOneof("source") == "conversation":
            conversation = self._given.conversation
        else:
            conversation = await self._parsed(_text_input(call))
        return [*told, *[await self._message(number, one) for number, one in enumerate(conversation.messages)]]

    async def _parsed(self, media: MediaInput) -> conversation_pb2.Conversation:
        """Read a conversation that came as JSON."""
        written = bytearray()
        async for piece in media.chunks():
            written += piece
            if len(written) > MAX_BYTES:
                message = f"the conversation is over the {MAX_BYTES:,} bytes that are read"
                raise InputTooLarge(message, hint="send its media by digest", fields={self._field: "too long"})
        conversation = conversation_pb2.Conversation()
        try:
            await asyncio.to_thread(json_format.Parse, bytes(written), conversation)
        except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
            message = "the conversation is not the JSON form of the contract's Conversation"
            raise ConversationInvalid(message, fields={self._field: str(error)[:200]}) from None
        check_conversation(conversation, f"{self._field}.conversation", self._model)
        return conversation

    async def _message(self, number: int, message: conversation_pb2.ChatMessage) -> ChatMessage:
        role = MessageRole.from_number(message.role)
        assert role is not None  # noqa: S101 - the conversation has been checked
        field = f"{self._field}.conversation.messages[{number}]"
        parts = [await self._part(part, f"{field}.parts[{n}]", number) for n, part in enumerate(message.parts)]
        return ChatMessage(role, tuple(parts), message.name)

    async def _part(self, part: conversation_pb2.MessagePart, field: str, number: int) -> ChatPart:
        kind = part.WhichOneof("part")
        if kind is not None and kind in _MEDIA:
            return await self._attachment(_MEDIA[kind], getattr(part, kind), f"{field}.{kind}", number)
        return _spoken(part)

    async def _attachment(
        self, kind: MediaKind, part: conversation_pb2.MediaPart, field: str, number: int
    ) -> Attachment:
        slot = media_slot(self._model, kind)
        assert slot is not None  # noqa: S101 - the conversation has been checked
        self._parts += 1
        what = f"{_WORDS[kind]} in message {number}"
        try:
            media = await self._preparer.prepare_part(self._parts, part, slot, as_it_is=kind == "file")
        except InvalidRequestError as error:
            raise named(error, what, field) from None
        media_type = part.media_type if kind == "file" else media.media_type
        return Attachment(kind, media, media_type, part.file_name, what, field)


def _spoken(part: conversation_pb2.MessagePart) -> ChatPart:
    """Give a part that is no media."""
    match part.WhichOneof("part"):
        case "reasoning":
            return ReasoningPart(part.reasoning.text, part.reasoning.signature)
        case "tool_call":
            return ToolCall(part.tool_call.id, part.tool_call.name, part.tool_call.arguments)
        case "tool_result":
            return ToolResult(part.tool_result.tool_call_id, part.tool_result.text, part.tool_result.is_error)
        case _:
            return TextPart(part.text)


def _text_input(call: Call) -> MediaInput:
    """Give the input that is the conversation, or the text."""
    slots = call.model.inputs
    name = next((slot.name for slot in slots if CONVERSATION_TYPE in slot.media_types), slots[0].name)
    return call.input(name)


async def _plain_message(call: Call) -> ChatMessage:
    """Give a plain text as a message of the user; media of other slots goes before it."""
    media = [Attachment(kind, one, one.media_type) for name, kind in _SLOTS.items() for one in call.inputs(name)]
    text = await _text_input(call).text()
    return ChatMessage(MessageRole.USER, (*media, TextPart(text)))
