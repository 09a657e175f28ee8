"""Text."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from automarket.assets.asset import Asset
from automarket.assets.body import Body
from automarket.assets.formats import by_name
from automarket.assets.roles import Role
from automarket.chat.results import Completion
from automarket.errors import InputUnsuitable, InternalFault, MediaInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automarket.chat.messages import ReasoningPart, ToolCall
    from automarket.chat.results import TokenUsage
    from automarket.media.info import MediaInfo


@dataclass(frozen=True, slots=True)
class TextMetadata:
    """Where a text comes from.

    Attributes:
        model: what made it; empty when no model did.
        provider: where that model runs.
        usage: what making it used, by unit, e.g. {"token": 12}.
        partial: it is a piece, or the beginning, of a text.
        request_id: of the call that made it, by which the mesh and most vendors know it.
        tokens: what a language model read and wrote; None when it does not say.
        cost: what making it cost, in `currency`; None when unknown.
        currency: ISO 4217 code, e.g. "USD".
        completion: why a language model stopped, which one it was, and the vendor's name for the request.
        tool_calls: calls of tools that the model waits for, in order.
        reasoning: what the model thought before.
    """

    model: str = ""
    provider: str = ""
    usage: Mapping[str, Any] = field(default_factory=dict[str, Any])
    partial: bool = False
    request_id: str = ""
    tokens: TokenUsage | None = None
    cost: float | None = None
    currency: str = ""
    completion: Completion = field(default_factory=Completion)
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: tuple[ReasoningPart, ...] = ()


class Text(Asset):
    """Text in UTF-8.

    Attributes:
        language: BCP 47 tag, e.g. "en"; None when unknown.
        confidence: 0 to 1, of what a model made; None when unknown.
        metadata: where it comes from.
    """

    __slots__ = ("confidence", "language", "metadata")

    _used_as = frozenset({Role.TEXT})

    def __init__(
        self,
        body: Body,
        *,
        source_asset: Asset | None = None,
        language: str | None = None,
        confidence: float | None = None,
        metadata: TextMetadata | None = None,
    ) -> None:
        super().__init__(body, source_asset=source_asset)
        self.language = language or None
        self.confidence = confidence
        self.metadata = metadata or TextMetadata()

    @classmethod
    def from_string(
        cls,
        content: str,
        *,
        language: str | None = None,
        confidence: float | None = None,
        metadata: TextMetadata | None = None,
    ) -> Text:
        """Make a text of a string.

        Raises:
            InputUnsuitable: it holds characters that UTF-8 cannot write (lone surrogates).
        """
        plain = by_name("txt")
        if plain is None:
            raise InternalFault("the registry of formats has no plain text")
        try:
            data = content.encode()
        except UnicodeEncodeError:
            raise InputUnsuitable("the string holds characters that are no text (lone surrogates)") from None
        return cls(Body(data, plain), language=language, confidence=confidence, metadata=metadata)

    @property
    def content(self) -> str:
        """The text.

        Raises:
            MediaInvalid: it is not UTF-8.
        """
        try:
            return self.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise MediaInvalid(f"the text is not UTF-8 at byte {error.start:,}", hint="save it as UTF-8") from None

    def __str__(self) -> str:
        return self.content

    async def inspect(self) -> MediaInfo:
        """Check that it is text. Raises MediaInvalid."""
        from automarket.media.info import MediaInfo

        await asyncio.to_thread(lambda: self.content)
        return MediaInfo(self.format.name)

    async def as_text(self) -> Text:
        """Give itself."""
        return self
