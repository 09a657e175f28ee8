"""Showing an answer of a language model: words as they come, what it thinks, and what it cost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from automarket.chat.results import FinishReason
from automarket.cli.plain import clean, seconds
from automarket.client import events as e

if TYPE_CHECKING:
    from automarket.assets import Text
    from automarket.cli.progress import LiveProgress
    from automarket.cli.terminal import Terminal

_RUN = "run"
_ENDINGS = {
    FinishReason.LENGTH: "the answer was cut: the model wrote as much as it may (--option max_tokens=...)",
    FinishReason.CONTENT_FILTER: "the model, or a filter of its vendor, refused to go on",
}


class AnswerView:
    """Shows the events of one answer.

    Args:
        screen: where.
        progress: the lines that move until words come.
        quiet: nothing is shown but the words.
    """

    def __init__(self, screen: Terminal, progress: LiveProgress, *, quiet: bool) -> None:
        self._screen = screen
        self._progress = progress
        self._words = not screen.as_json
        self._thoughts = self._words and not quiet and screen.err.is_terminal
        self._begin = time.monotonic()
        self._first: float | None = None
        self._mid_line = False
        self._thinking = False

    def show(self, event: e.Event) -> None:
        """Show what happened."""
        match event:
            case e.TextDelta():
                self._note_first()
                self._end_thoughts()
                self._write(event.text)
            case e.ReasoningDelta():
                self._note_first()
                self._think(event.text)
            case e.ToolCallDelta():
                self._note_first()
            case e.Accepted():
                self._progress.work(_RUN, " ".join(dict.fromkeys((event.provider_id, event.model_id))), None)
            case e.Progress():
                self._progress.work(_RUN, event.phase, event.fraction, event.message)
            case e.Uploading():
                self._progress.bytes(f"upload {event.input}", "uploading", event.sent_bytes, event.size_bytes)
            case e.Uploaded():
                self._progress.done(f"upload {event.input}")
            case _:
                pass

    def _note_first(self) -> None:
        if self._first is None:
            self._first = time.monotonic() - self._begin

    def _write(self, words: str) -> None:
        if self._words and words:
            self._progress.stop()  # lines that move would tear words apart
            self._screen.write(clean(words) if self._screen.out.is_terminal else words)
            self._mid_line = not words.endswith("\n")

    def _think(self, words: str) -> None:
        if self._thoughts and words:
            from rich.text import Text as Styled

            self._progress.stop()
            self._thinking = True
            self._screen.err.print(Styled(clean(words), style="dim italic"), end="", soft_wrap=True)

    def _end_thoughts(self) -> None:
        if self._thinking:
            self._screen.note("\n")
            self._thinking = False

    def end_line(self) -> None:
        """End a line that was begun."""
        self._end_thoughts()
        if self._mid_line:
            self._screen.write("\n")
            self._mid_line = False

    def facts(self, text: Text) -> dict[str, Any]:
        """Give an answer for programs."""
        about = text.metadata
        return {
            "text": text.content,
            "model": about.model,
            "provider": about.provider,
            "served_model": about.completion.served_model,
            "finish_reason": about.completion.finish_reason,
            "vendor_finish_reason": about.completion.vendor_finish_reason,
            "vendor_request_id": about.completion.vendor_request_id,
            "request_id": about.request_id,
            "tokens": about.tokens,
            "cost": about.cost,
            "currency": about.currency,
            "seconds": round(time.monotonic() - self._begin, 4),
            "first_token_seconds": None if self._first is None else round(self._first, 4),
            "reasoning": "".join(part.text for part in about.reasoning),
            "tool_calls": about.tool_calls,
        }

    def sum_up(self, text: Text) -> None:
        """Say of an answer what it took, and why it ended if not by itself."""
        about, taken = text.metadata, time.monotonic() - self._begin
        for call in about.tool_calls:
            self._screen.note(f"the model calls {call.name}({call.arguments})", style="")
        facts = [f"{about.provider}, {about.completion.served_model or about.model}", seconds(taken)]
        if self._first is not None:
            facts.append(f"first token after {seconds(self._first)}")
        if about.tokens is not None:
            facts.append(f"{about.tokens.prompt} tokens in, {about.tokens.completion} out")
        if about.cost is not None:
            facts.append(f"{about.cost:.6g} {about.currency}")
        self._screen.note("; ".join(facts))
        if ending := _ENDINGS.get(about.completion.finish_reason or FinishReason.STOP):
            self._screen.note(ending, style="yellow")
