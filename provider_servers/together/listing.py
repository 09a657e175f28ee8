"""Together's two lists of models, as they are written, and what both say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens that are read, written, or read from the cache."""

    read: float | None = None
    written: float | None = None
    cached: float | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model: its id, its name for people, and what it takes beside text."""

    id: str
    name: str = ""
    context_tokens: int | None = None
    pricing: Price | None = None
    takes: Sequence[str] = ()


class ListedPrice(msgspec.Struct):
    """A price of the first list."""

    input: float | None = None
    output: float | None = None
    cached_input: float | None = None


class ListedModel(msgspec.Struct):
    """One entry of GET /v1/models. `type` is an open set."""

    id: str
    type: str | None = None
    display_name: str | None = None
    context_length: int | None = None
    pricing: ListedPrice | None = None

    def facts(self) -> Facts:
        """Give what it says. A price of nothing at all is one that is not known."""
        price = self.pricing
        known = price is not None and bool(price.input or price.output)
        pricing = Price(price.input, price.output, price.cached_input) if price is not None and known else None
        return Facts(self.id, self.display_name or "", self.context_length, pricing)


class SupportedPrice(msgspec.Struct, rename="camel"):
    """A price of the second list."""

    input: float | None = None
    output: float | None = None
    cached_input: float | None = None


class SupportedModel(msgspec.Struct, rename="camel"):
    """One entry of GET /v2/supported-models; `name` is the id to send, the context length a text."""

    name: str
    display_name: str | None = None
    capabilities: list[str] | None = None
    input_modalities: list[str] | None = None
    context_length: str | int | None = None
    pricing: SupportedPrice | None = None

    @property
    def chats(self) -> bool:
        """Whether it has conversations."""
        return "CAPABILITY_CHAT" in (self.capabilities or ())

    def facts(self) -> Facts:
        """Give what it says."""
        price = self.pricing
        pricing = Price(price.input, price.output, price.cached_input) if price is not None else None
        takes = [one.removeprefix("MODALITY_").lower() for one in self.input_modalities or ()]
        length = str(self.context_length or "")
        tokens = int(length) if length.isdecimal() else None
        return Facts(self.name, self.display_name or "", tokens, pricing, takes)


class SupportedModels(msgspec.Struct):
    """One page of the second list."""

    data: list[SupportedModel]
    next_cursor: str | None = None
