"""What is put together from the windows of one recording."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from provider_servers.runtime import Segment, TextResult, Word
from provider_servers.runtime.subtitles import FORMS, render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provider_servers.runtime.windows import Window


@dataclass(slots=True)
class Collected:
    """One recording.

    Attributes:
        form: what the text output is; a key of FORMS.
        language: of the first window in which somebody spoke, or as the caller says.
    """

    form: str
    language: str = ""
    _segments: list[Segment] = field(default_factory=list[Segment])

    def add(self, found: Mapping[str, Any], window: Window, language: str) -> Segment | None:
        """Take what was found in a window; give it with the recording's times, or None when nobody speaks."""
        start, end, confidence, text, words = found["segment"]
        if not text:
            return None
        self.language = self.language or language

        def moved(seconds: float) -> float:
            return min(window.start + max(0.0, seconds), window.end)

        listed = tuple(Word(moved(begin), moved(stop), word, sure) for begin, stop, sure, word in words)
        segment = Segment(moved(start), max(moved(start), moved(end)), text, confidence, listed)
        self._segments.append(segment)
        return segment

    def result(self, *, translated: bool) -> TextResult:
        """Give what is known in the end."""
        language = "en" if translated else self.language
        text = render(self.form, self._segments, language=language)
        return TextResult(text, language, self._confidence(), media_type=FORMS[self.form])

    def _confidence(self) -> float | None:
        """Give the mean confidence of the segments, each by its length."""
        rated = [(one.confidence or 0.0, max(one.end - one.start, 0.01)) for one in self._segments]
        length = sum(seconds for _, seconds in rated)
        return sum(confidence * seconds for confidence, seconds in rated) / length if rated else None
