"""What a stream of a language model gives, put together: the pieces of one read, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from automarket.chat.results import Completion, FinishReason
from provider_servers.runtime.events import ReasoningDelta, TextDelta, ToolCallDelta, Usage

if TYPE_CHECKING:
    from automarket.errors import AutoMarketError

Delta = TextDelta | ReasoningDelta | ToolCallDelta


@dataclass(slots=True)
class Counts:
    """What was used, in tokens; None where the vendor does not say. `cost` is in US dollars."""

    read: int = 0
    written: int = 0
    cached: int | None = None
    cache_written: int | None = None
    reasoning: int | None = None
    cost: float | None = None


@dataclass(slots=True)
class Ending:
    """How an answer ended, as far as the stream has said it.

    Attributes:
        finish: the contract's reason: "stop", "length", "tool_calls", "content_filter", "other"; empty before the end.
        vendor_finish: the vendor's word for it.
        served_model: the model that answered.
        request_id: the vendor's name for the request.
        counts: what was used; None where the vendor does not say.
        complete: the vendor has marked the end of the stream.
        fault: an error that the stream holds; what came before it stays good.
    """

    finish: str = ""
    vendor_finish: str = ""
    served_model: str = ""
    request_id: str = ""
    counts: Counts | None = None
    complete: bool = False
    fault: AutoMarketError | None = None


def closing_events(ending: Ending) -> tuple[Completion | Usage, ...]:
    """Give what is said of an answer after its last piece."""
    completion = Completion(FinishReason(ending.finish), ending.vendor_finish, ending.served_model, ending.request_id)
    counts = ending.counts
    if counts is None:
        return (completion,)
    usage = Usage(
        "token",
        input_units=counts.read,
        output_units=counts.written,
        cost=counts.cost,
        currency="" if counts.cost is None else "USD",
        cached_input_units=counts.cached,
        cache_write_units=counts.cache_written,
        reasoning_units=counts.reasoning,
    )
    return completion, usage


class Gathering:
    """Puts together what one read brought: tokens of a kind that follow one another become one event."""

    def __init__(self) -> None:
        self._deltas: list[Delta] = []
        self._tokens: list[str] = []
        self._thinks = False

    def text(self, token: str) -> None:
        """Add text."""
        if self._thinks:
            self._close()
        self._tokens.append(token)

    def thought(self, token: str) -> None:
        """Add reasoning."""
        if not self._thinks:
            self._close()
            self._thinks = True
        self._tokens.append(token)

    def signature(self, signature: str) -> None:
        """End a stretch of reasoning with what proves that it was not changed."""
        tokens = tuple(self._tokens) if self._thinks else ()
        if tokens:
            self._tokens = []
        self._close()
        self._deltas.append(ReasoningDelta(tokens, signature))

    def tool_call(self, index: int, call_id: str, name: str, arguments: str) -> None:
        """Add a piece of a tool call; pieces of one call that follow one another become one."""
        self._close()
        last = self._deltas[-1] if self._deltas else None
        if isinstance(last, ToolCallDelta) and last.index == index and not call_id:
            self._deltas[-1] = ToolCallDelta(index, last.id, last.name, last.arguments + arguments)
        else:
            self._deltas.append(ToolCallDelta(index, call_id, name, arguments))

    def take(self) -> list[Delta]:
        """Give what was gathered, in order, and begin anew."""
        self._close()
        deltas, self._deltas = self._deltas, []
        return deltas

    def _close(self) -> None:
        if self._tokens:
            tokens = tuple(self._tokens)
            self._deltas.append(ReasoningDelta(tokens) if self._thinks else TextDelta(tokens))
            self._tokens = []
        self._thinks = False
