"""The events of a message as they come, read into deltas and an ending."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from provider_servers.anthropic.refusals import read_fault
from provider_servers.anthropic.wire import decode_event, decode_whole
from provider_servers.runtime.chat.answer import Counts, Ending, Gathering
from provider_servers.runtime.vendors.errors import broken, to_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provider_servers.anthropic.wire import Block, Delta, Event, Message, Usage
    from provider_servers.runtime.chat.answer import Delta as GivenDelta
    from provider_servers.runtime.http.sse import SseEvent
    from provider_servers.runtime.vendors.vendor import Vendor

REDACTED = "redacted_thinking:"
"""What the signature of reasoning begins with that the vendor shows to nobody, not even in part."""

FINISHES: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class MessageStream:
    """Reads one answer.

    Args:
        vendor: who answers.
        model: what was asked, for errors.
        headers: of the answer.
    """

    def __init__(self, vendor: Vendor, model: str, headers: Mapping[str, str]) -> None:
        self.ending = Ending(request_id=headers.get("request-id", ""))
        self._vendor = vendor
        self._model = model
        self._headers = headers
        self._gathering = Gathering()
        self._calls: dict[int, int] = {}  # numbers of tool calls by the index of their block

    def take(self, events: Sequence[SseEvent]) -> list[GivenDelta]:
        """Take the events of one read; give what they bring. What they say of the end is in `ending`."""
        for event in events:
            try:
                found = decode_event(event.data)
            except (msgspec.DecodeError, UnicodeDecodeError):
                if event.whole:
                    self.ending.fault = broken(self._vendor, "it sent what is no event of a message", self._model)
                break
            self._add(found)
            if self.ending.complete or self.ending.fault is not None:
                break
        return self._gathering.take()

    def take_whole(self, body: bytes) -> list[GivenDelta]:
        """Take an answer that is not a stream."""
        try:
            whole = decode_whole(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.ending.fault = broken(self._vendor, "it sent what is no message", self._model)
            return []
        if whole.type == "error" or whole.error is not None:
            self._fail(whole.error)
            return []
        self._begin(whole)
        for index, block in enumerate(whole.content or ()):
            self._begin_block(index, block)
        if whole.stop_reason:
            self._stopped(whole.stop_reason)
        self.ending.complete = True
        return self._gathering.take()

    def finish(self) -> None:
        """Say that nothing more comes.

        Raises:
            AutoMarketError: the stream holds an error, or was cut off.
        """
        ending = self.ending
        if ending.fault is not None:
            raise ending.fault
        if not ending.complete:
            raise broken(self._vendor, "the stream ended before its end marker", self._model)
        ending.finish = ending.finish or "other"

    def _add(self, event: Event) -> None:
        match event.type:
            case "content_block_delta":
                if event.delta is not None:
                    self._more(event.index, event.delta)
            case "content_block_start":
                if event.content_block is not None:
                    self._begin_block(event.index, event.content_block)
            case "message_start":
                if event.message is not None:
                    self._begin(event.message)
            case "message_delta":
                if event.usage is not None:
                    self._count(event.usage)
                if event.delta is not None and event.delta.stop_reason:
                    self._stopped(event.delta.stop_reason)
            case "message_stop":
                self.ending.complete = True
            case "error":
                self._fail(event.error)
            case _:  # pings, ends of blocks, and what newer versions add
                pass

    def _begin(self, message: Message) -> None:
        self.ending.served_model = message.model or ""
        self.ending.request_id = self.ending.request_id or message.id or ""
        if message.usage is not None:
            self._count(message.usage)

    def _begin_block(self, index: int, block: Block) -> None:
        if block.text:
            self._gathering.text(block.text)
        if block.thinking:
            self._gathering.thought(block.thinking)
        if block.signature:
            self._gathering.signature(block.signature)
        if block.type == "redacted_thinking" and block.data:
            self._gathering.signature(REDACTED + block.data)
        if block.type == "tool_use":
            number = self._calls[index] = len(self._calls)
            given = bytes(block.input)
            arguments = "" if given in (b"", b"{}", b"null") else given.decode()
            if not block.name:
                self.ending.fault = broken(self._vendor, "it sent a tool call that names no tool", self._model)
                return
            self._gathering.tool_call(number, block.id or f"call_{number}", block.name, arguments)

    def _more(self, index: int, delta: Delta) -> None:
        if delta.text:
            self._gathering.text(delta.text)
        elif delta.partial_json:
            if index in self._calls:
                self._gathering.tool_call(self._calls[index], "", "", delta.partial_json)
        elif delta.thinking:
            self._gathering.thought(delta.thinking)
        elif delta.signature:
            self._gathering.signature(delta.signature)

    def _stopped(self, reason: str) -> None:
        self.ending.vendor_finish = reason
        self.ending.finish = FINISHES.get(reason, "other")

    def _count(self, usage: Usage) -> None:
        """Take counts, which are of the whole message so far; what one leaves out stays as it was."""
        counts = self.ending.counts = self.ending.counts or Counts()
        fresh = counts.read - (counts.cached or 0) - (counts.cache_written or 0)
        fresh = fresh if usage.input_tokens is None else usage.input_tokens
        if usage.cache_read_input_tokens is not None:
            counts.cached = usage.cache_read_input_tokens
        if usage.cache_creation_input_tokens is not None:
            counts.cache_written = usage.cache_creation_input_tokens
        counts.read = fresh + (counts.cached or 0) + (counts.cache_written or 0)
        if usage.output_tokens is not None:
            counts.written = usage.output_tokens
        if usage.output_tokens_details is not None:
            counts.reasoning = usage.output_tokens_details.thinking_tokens

    def _fail(self, error: Any) -> None:
        self.ending.fault = to_error(read_fault(error, self._headers), self._vendor, self._model)
