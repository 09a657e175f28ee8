"""The conversation of a call, as an author sees it."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from automarket.assets.formats import HEAD_BYTES, detect
from automarket.chat.messages import MediaKind, MessageRole, ReasoningPart, TextPart, ToolCall, ToolResult
from automarket.errors import InvalidRequestError

if TYPE_CHECKING:
    from provider_servers.runtime.media_input import MediaInput


@dataclass(slots=True)
class Attachment:
    """Media in a message.

    Attributes:
        kind: "image", "audio" or "file".
        media: its bytes.
        media_type: what it is; of pictures and sound it is certain once the bytes have been read.
        file_name: for people and for models that read it; often empty.
        what: what errors call it.
        field: the field of the request that it is; empty for an input with a slot of its own.
    """

    kind: MediaKind
    media: MediaInput
    media_type: str
    file_name: str = ""
    what: str = ""
    field: str = ""

    async def data(self) -> bytes:
        """Give its bytes, cast to what the model's slot asks for.

        Raises:
            InvalidRequestError: it is not what it should be; the error names the field.
        """
        try:
            data = await self.media.data()
        except InvalidRequestError as error:
            raise named(error, self.what, self.field) from None
        found = None if self.kind == "file" else detect(data[:HEAD_BYTES])
        self.media_type = found.media_type if found else self.media_type
        return data

    async def base64(self) -> str:
        """Give its bytes in base64. `media_type` is certain afterwards. Raises as `data` does."""
        data = await self.data()
        return await asyncio.to_thread(lambda: base64.b64encode(data).decode())

    async def data_url(self) -> str:
        """Give it as a URL, "data:image/png;base64,...". Raises as `data` does."""
        encoded = await self.base64()
        return f"data:{self.media_type};base64,{encoded}"


def named(error: InvalidRequestError, what: str, field: str) -> InvalidRequestError:
    """Give an error of media in a message, with the field of the request that it is."""
    if not field:
        return error
    fault = next(iter(error.fields.values()), error.message)
    return type(error)(f"{what}: {error.message}", hint=error.hint, fields={field: fault}, metadata=error.metadata)


ChatPart: TypeAlias = TextPart | ReasoningPart | ToolCall | ToolResult | Attachment


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message.

    Attributes:
        role: who says it.
        parts: what it says, in order.
        name: which of several users or assistants it is; mostly empty.
    """

    role: MessageRole
    parts: tuple[ChatPart, ...]
    name: str = ""

    @property
    def text(self) -> str:
        """Its text parts, one after another."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """Its tool calls, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))

    @property
    def tool_results(self) -> tuple[ToolResult, ...]:
        """Its tool results, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolResult))

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """Its media, in order."""
        return tuple(part for part in self.parts if isinstance(part, Attachment))
