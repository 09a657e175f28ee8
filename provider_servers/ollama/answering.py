"""What the API answers, as the mesh's events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from provider_servers.runtime import (
    Completion,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provider_servers.ollama.client import ChatPart
    from provider_servers.runtime import Event

_REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}


class Answer:
    """Turns the parts of one answer into events, in order."""

    def __init__(self) -> None:
        self._calls = 0

    def events(self, part: ChatPart) -> Iterator[Event]:
        """Give what a part says."""
        if part.thoughts:
            yield ReasoningDelta(part.thoughts)
        if part.tokens:
            yield TextDelta(part.tokens)
        for call in part.tool_calls:  # each comes whole, and may have no identity
            yield self._call(call)
        if part.ending is not None:
            reason = str(part.ending.get("done_reason") or "stop")
            finish = FinishReason.TOOL_CALLS if self._calls else _REASONS.get(reason, FinishReason.OTHER)
            yield Completion(finish, reason, str(part.ending.get("model") or ""))
            read, written = (float(part.ending.get(f"{kind}eval_count", 0)) for kind in ("prompt_", ""))
            yield Usage("token", input_units=read, output_units=written)

    def _call(self, call: Mapping[str, Any]) -> ToolCallDelta:
        function: Mapping[str, Any] = call.get("function") or {}
        arguments = json.dumps(function.get("arguments") or {}, ensure_ascii=False)
        number, self._calls = self._calls, self._calls + 1
        return ToolCallDelta(number, str(call.get("id") or ""), str(function.get("name") or ""), arguments)
