"""The events of a chat completion as they come, read into deltas and an ending."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from provider_servers.runtime.chat.answer import Counts, Ending, Gathering
from provider_servers.runtime.chat.compatible.refusals import read_fault
from provider_servers.runtime.chat.compatible.wire import decode_chunk, decode_chunks
from provider_servers.runtime.chat.surrogates import HalfKeeper, decode_leniently
from provider_servers.runtime.vendors.errors import broken, to_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provider_servers.runtime.chat.answer import Delta
    from provider_servers.runtime.chat.compatible.wire import Choice, Chunk, ToolCall, Usage
    from provider_servers.runtime.http.sse import SseEvent
    from provider_servers.runtime.vendors.vendor import Vendor

DONE = b"[DONE]"
FINISHES: Mapping[str, str] = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class CompletionStream:
    """Reads one answer.

    Args:
        vendor: who answers.
        model: what was asked, for errors.
        headers: of the answer.
    """

    def __init__(self, vendor: Vendor, model: str, headers: Mapping[str, str]) -> None:
        self.ending = Ending()
        self._vendor = vendor
        self._model = model
        self._headers = headers
        self._gathering = Gathering()
        self._calls = _Calls()
        self._keeper: HalfKeeper | None = None  # needed by few servers
        self._begun = False
        self.is_silent = True  # not one event came
        self.has_ended = False

    def take(self, events: Sequence[SseEvent]) -> list[Delta]:
        """Take the events of one read; give what they bring. What they say of the end is in `ending`.

        After an event that holds an error the rest is left aside.
        """
        self.is_silent = self.is_silent and not events
        if not self._take_together(events):
            self._take_singly(events)
        deltas = self._gathering.take()
        self._begun = self._begun or bool(deltas)
        return deltas

    def _take_together(self, events: Sequence[SseEvent]) -> bool:
        """Take events that are all chunks, but for the mark at the end; tell whether they were."""
        data = [event.data for event in events]
        is_last = bool(data) and data[-1] == DONE
        if is_last:
            data.pop()
        chunks = decode_chunks(data) if self._keeper is None else None
        if chunks is None:
            return False
        for chunk in chunks:
            self._take_chunk(chunk)
            if self.ending.fault is not None:
                return True
        self.ending.complete = self.ending.complete or is_last
        return True

    def _take_singly(self, events: Sequence[SseEvent]) -> None:
        for event in events:
            if event.data == DONE:
                self.ending.complete = True
                break
            self._add(event.data, whole=event.whole)
            if self.ending.fault is not None:
                break

    def take_whole(self, body: bytes) -> list[Delta]:
        """Take an answer that is not a stream: an error under a status of success, or a server that does not stream.

        White space before it, which keeps a connection alive, is skipped.
        """
        self.is_silent = False
        self._add(body.strip(), whole=True)
        self.ending.complete = self.ending.fault is None
        deltas = self._gathering.take()
        self._begun = bool(deltas)
        return deltas

    def finish(self) -> None:
        """Say that nothing more comes.

        Raises:
            AutoMarketError: the stream holds an error, was cut off, or brought nothing at all.
        """
        ending = self.ending
        self.has_ended = True
        if ending.fault is not None:
            raise ending.fault
        if not ending.complete and not ending.finish:
            raise broken(self._vendor, "the stream ended before its end marker", self._model)
        if not ending.finish and not self._begun:
            raise broken(self._vendor, "the stream ended and held no answer", self._model)
        ending.finish = ending.finish or "other"

    def _add(self, data: bytes, *, whole: bool) -> None:
        try:
            chunk = decode_chunk(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            try:
                chunk = decode_leniently(data)
            except ValueError:
                if whole:
                    self._garbage("what is no chat completion")
                return
            self._keeper = self._keeper or HalfKeeper()
        self._take_chunk(chunk)

    def _take_chunk(self, chunk: Chunk) -> None:
        if chunk.error is not None:
            self._fail(chunk.error)
            return
        ending = self.ending
        if chunk.choices:
            self._choice(chunk.choices[0])
        if chunk.usage is not None:
            ending.counts = _counts(chunk.usage)
        if not ending.served_model:
            self._name(chunk)

    def _name(self, chunk: Chunk) -> None:
        self.ending.served_model = chunk.model or ""
        self.ending.request_id = self._headers.get("x-request-id", "") or chunk.id or ""

    def _choice(self, choice: Choice) -> None:
        delta = choice.delta or choice.message
        if delta is not None:
            if thought := delta.reasoning or delta.reasoning_content:
                self._gathering.thought(thought)
            if delta.content:
                self._text(delta.content)
            if delta.refusal:
                self.ending.finish = "content_filter"
                self._text(delta.refusal)
            if delta.tool_calls:
                for call in delta.tool_calls:
                    self._call(call)
        if choice.error is not None:
            self._fail(choice.error)
        elif choice.finish_reason == "error":
            self._fail({})
        elif choice.finish_reason:
            self._finished(choice.finish_reason)

    def _text(self, token: str) -> None:
        if self._keeper is not None:
            token = self._keeper.take(token)
        if token:
            self._gathering.text(token)

    def _finished(self, reason: str) -> None:
        ending = self.ending
        ending.vendor_finish = reason
        if self._keeper is not None and (rest := self._keeper.finish()):
            self._gathering.text(rest)
        if ending.finish != "content_filter":  # it was refused before, in words
            ending.finish = FINISHES.get(reason, "other")

    def _call(self, call: ToolCall) -> None:
        function = call.function
        index, call_id = self._calls.place(call.index, call.id or "")
        name = (function.name or "") if function is not None else ""
        arguments = (function.arguments or "") if function is not None else ""
        if call_id and not name:
            self._garbage("a tool call that names no tool")
        elif call_id:
            self._gathering.tool_call(index, call_id, name, arguments)
        elif arguments:
            self._gathering.tool_call(index, "", "", arguments)

    def _garbage(self, what: str) -> None:
        self.ending.fault = broken(self._vendor, f"it sent {what}", self._model)

    def _fail(self, error: Any) -> None:
        self.ending.fault = to_error(read_fault(error, self._headers), self._vendor, self._model)


class _Calls:
    """Numbers the tool calls of an answer. Servers may leave out the index, or the id, or repeat the id."""

    def __init__(self) -> None:
        self._by_index: dict[int, int] = {}
        self._ids: dict[str, int] = {}
        self._count = 0

    def place(self, index: int | None, call_id: str) -> tuple[int, str]:
        """Give the number of the call that a piece belongs to, and its id if the piece is its first one."""
        known = self._ids.get(call_id) if call_id else self._by_index.get(self._key(index))
        if known is not None:
            return known, ""
        number, self._count = self._count, self._count + 1
        self._by_index[self._key(index, number)] = number
        call_id = call_id or f"call_{number}"
        self._ids[call_id] = number
        return number, call_id

    def _key(self, index: int | None, number: int | None = None) -> int:
        if index is not None:
            return index
        return max(self._count - 1, 0) if number is None else number


def _counts(usage: Usage) -> Counts:
    read, written = usage.prompt_tokens_details, usage.completion_tokens_details
    return Counts(
        usage.prompt_tokens or 0,
        usage.completion_tokens or 0,
        cached=read.cached_tokens if read is not None else None,
        cache_written=read.cache_write_tokens if read is not None else None,
        reasoning=usage.reasoning_tokens if written is None else written.reasoning_tokens,
        cost=usage.cost,
    )
