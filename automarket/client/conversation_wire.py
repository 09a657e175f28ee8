"""Conversations on their way to the mesh: small ones within the call, large ones and their media by digest."""

from __future__ import annotations

import asyncio
import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from google.protobuf import json_format

from automarket.assets import Asset, as_input
from automarket.chat.messages import ReasoningPart, TextPart, ToolCall, ToolResult
from automarket.errors import ConversationInvalid, InputEmpty, InputTooLarge, InvalidRequestError
from automarket.stored import StoredAsset
from automarket.v1 import conversation_pb2

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from automarket.chat.messages import Conversation, MediaPart, Message, Part

    Puts: TypeAlias = Callable[[Asset | Path | bytes], Awaitable[str | None]]

INLINE_BYTES = 64 * 1024
TYPED_BYTES = 2 * 1024 * 1024
"""A conversation of more bytes than this goes as JSON."""


async def to_proto(conversation: Conversation, put: Puts) -> conversation_pb2.Conversation:
    """Give a conversation as a message. Its media is in the store by then, except for small pieces.

    Args:
        conversation: what was said.
        put: puts media into the asset store and gives its digest; None where nothing is to be, or can be, kept.

    Raises:
        ConversationInvalid: media of a message is none; the error names its place.
        InputTooLarge: media is over 64 KiB, and there is no store that it could go to.
    """
    writer = _Writer(put)
    messages = [await writer.message(number, one) for number, one in enumerate(conversation.messages)]
    return conversation_pb2.Conversation(messages=messages)


def to_json(message: conversation_pb2.Conversation) -> bytes:
    """Give a conversation in protobuf's JSON form."""
    return json_format.MessageToJson(message, indent=None, ensure_ascii=False).encode()


class _Writer:
    def __init__(self, put: Puts) -> None:
        self._put = put
        self._left = TYPED_BYTES // 2

    async def message(self, number: int, message: Message) -> conversation_pb2.ChatMessage:
        where = f"messages[{number}]"
        parts = [await self._part(part, f"{where}.parts[{place}]") for place, part in enumerate(message.parts)]
        role = conversation_pb2.MessageRole.ValueType(message.role.number)
        return conversation_pb2.ChatMessage(role=role, parts=parts, name=message.name)

    async def _part(self, part: Part, where: str) -> conversation_pb2.MessagePart:
        made = conversation_pb2.MessagePart()
        match part:
            case TextPart():
                made.text = part.text
            case ReasoningPart():
                made.reasoning.CopyFrom(conversation_pb2.ReasoningPart(text=part.text, signature=part.signature))
            case ToolCall():
                call = conversation_pb2.ToolCall(id=part.id, name=part.name, arguments=part.arguments)
                made.tool_call.CopyFrom(call)
            case ToolResult():
                result = conversation_pb2.ToolResult(
                    tool_call_id=part.tool_call_id, text=part.text, is_error=part.is_error
                )
                made.tool_result.CopyFrom(result)
            case _:
                getattr(made, part.kind).CopyFrom(await self._media(part, f"{where}.{part.kind}"))
        return made

    async def _media(self, part: MediaPart, where: str) -> conversation_pb2.MediaPart:
        made = conversation_pb2.MediaPart(media_type=_media_type(part), file_name=_file_name(part))
        if part.kind == "file" and not made.media_type:
            hint = 'say it: MediaPart("file", data, media_type="application/pdf")'
            raise ConversationInvalid("a file in a message has no media type", hint=hint, fields={where: "required"})
        source = part.source
        if isinstance(source, StoredAsset):
            made.digest = source.digest
            return made
        if part.kind != "file":  # told by content; what is of no known format is found here, not at the vendor
            source = await asyncio.to_thread(as_input, source)
            made.media_type = source.media_type
        await self._write(made, source, where)
        return made

    async def _write(self, made: conversation_pb2.MediaPart, source: Asset | Path | bytes, where: str) -> None:
        size = await asyncio.to_thread(_size, source)
        if not size:
            raise InputEmpty("media in a message is empty", fields={where: "empty"})
        if size <= min(INLINE_BYTES, self._left):
            self._left -= size
            made.inline = await asyncio.to_thread(_bytes, source)
        elif digest := await self._put(source):
            made.digest = digest
        else:
            message = f"media in a message has {size:,} bytes; without the asset store it is at most {INLINE_BYTES:,}"
            raise InputTooLarge(message, hint="let the store keep it", fields={where: "too long"})


def _media_type(part: MediaPart) -> str:
    if part.media_type:
        return part.media_type
    if isinstance(part.source, Path):
        return mimetypes.guess_type(part.source.name)[0] or ""
    return "" if isinstance(part.source, bytes) else part.source.media_type


def _file_name(part: MediaPart) -> str:
    return part.file_name or (part.source.name if isinstance(part.source, Path) else "")


def _size(source: Asset | Path | bytes) -> int:
    if isinstance(source, Path):
        try:
            return source.stat().st_size
        except OSError as error:
            message = f"{source} cannot be read: {error.strerror}"
            raise InvalidRequestError(message, hint="check the path") from None
    return len(source) if isinstance(source, bytes) else source.size_bytes


def _bytes(source: Asset | Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source
    return source.read_bytes()
