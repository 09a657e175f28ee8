"""What a language model says beside its text, put together from its pieces: reasoning and tool calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from automarket.chat.messages import ReasoningPart, ToolCall
from automarket.chat.results import TokenUsage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from automarket.client import events as e


@dataclass(slots=True)
class _Call:
    id: str
    name: str
    arguments: list[str] = field(default_factory=list[str])


class Answer:
    """Takes the pieces of one answer in order."""

    def __init__(self) -> None:
        self._thought: list[ReasoningPart] = []
        self._thinking: list[str] = []
        self._calls: dict[int, _Call] = {}

    def think(self, event: e.ReasoningDelta) -> None:
        """Take more reasoning."""
        self._thinking += event.tokens
        if event.signature:
            self._thought.append(ReasoningPart("".join(self._thinking), event.signature))
            self._thinking = []

    def call(self, event: e.ToolCallDelta) -> None:
        """Take more of a tool call."""
        call = self._calls.setdefault(event.index, _Call(event.id, event.name))
        call.arguments.append(event.arguments)

    @property
    def reasoning(self) -> tuple[ReasoningPart, ...]:
        """What it thought so far."""
        rest = "".join(self._thinking)
        return (*self._thought, ReasoningPart(rest)) if rest else tuple(self._thought)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls, as far as they have come."""
        calls = (call for _, call in sorted(self._calls.items()))
        return tuple(ToolCall(call.id, call.name, "".join(call.arguments)) for call in calls)


def tokens_of(usage: Sequence[e.Usage]) -> TokenUsage | None:
    """Add up what was used in tokens; None when nothing was counted in them."""
    counted = [one for one in usage if one.unit == "token"]
    if not counted:
        return None
    return TokenUsage(
        prompt=int(sum(one.input_units for one in counted)),
        completion=int(sum(one.output_units for one in counted)),
        cached=_whole(one.cached_input_units for one in counted),
        reasoning=_whole(one.reasoning_units for one in counted),
    )


def _whole(counts: Iterable[float | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return int(sum(known)) if known else None


def cost_of(usage: Sequence[e.Usage]) -> tuple[float | None, str]:
    """Add up what was paid, and in what; nothing is said where currencies differ or nothing is known."""
    known = [one for one in usage if one.cost is not None]
    currencies = {one.currency for one in known}
    if len(currencies) != 1:
        return None, ""
    return sum(one.cost or 0.0 for one in known), currencies.pop()
