"""How an answer of a language model ended, and what it used."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FinishReason(StrEnum):
    """Why a language model stopped; `number` is its value in `automarket.v1.FinishReason`."""

    STOP = "stop"  # its own end, or a text of the option `stop`
    LENGTH = "length"  # as many tokens as it may write, or its context is full
    TOOL_CALLS = "tool_calls"  # it waits for the results of its tool calls
    CONTENT_FILTER = "content_filter"  # it, or a filter of the vendor, refuses to go on
    OTHER = "other"

    @property
    def number(self) -> int:
        """The enum value of the contract."""
        return _REASONS.index(self) + 1

    @classmethod
    def from_number(cls, number: int) -> FinishReason | None:
        """Give the reason of an enum value; None for unspecified, OTHER for unknown ones."""
        if not number:
            return None
        return _REASONS[number - 1] if number <= len(_REASONS) else cls.OTHER


_REASONS = tuple(FinishReason)


@dataclass(frozen=True, slots=True)
class Completion:
    """How an answer ended.

    Attributes:
        finish_reason: why; None when it is not known.
        vendor_finish_reason: the vendor's own word for that, e.g. "end_turn".
        served_model: the model that answered, where the vendor names it: often a dated form of what was asked for.
        vendor_request_id: the vendor's name for the request, which its support asks for.
    """

    finish_reason: FinishReason | None = None
    vendor_finish_reason: str = ""
    served_model: str = ""
    vendor_request_id: str = ""


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens that an answer used.

    Attributes:
        prompt: read, those from the vendor's cache included.
        completion: written, those of reasoning included.
        cached: of those read, how many the vendor had in its cache; None when it does not say.
        reasoning: of those written, how many went into reasoning; None when the vendor does not say.
    """

    prompt: int
    completion: int
    cached: int | None = None
    reasoning: int | None = None

    @property
    def total(self) -> int:
        """Read and written together."""
        return self.prompt + self.completion
