"""What is put together from the windows of one recording: segments with the recording's times, and the result."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from provider_servers.runtime import Segment, TextResult, Word
from provider_servers.runtime.subtitles import FORMS, joined, render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provider_servers.runtime.windows import Window
    from provider_servers.whisper.answers import Heard, Transcript
    from provider_servers.whisper.client import Asking

SEEK_A_SECOND = 100  # Whisper counts where it reads in hundredths of a second


@dataclass(slots=True)
class Transcription:
    """One recording.

    Attributes:
        asking: what is asked of the backend.
        form: what the text output is; a key of FORMS.
    """

    asking: Asking
    form: str = "text"
    _language: str = ""
    _segments: list[Segment] = field(default_factory=list[Segment])
    _raw: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def next_asking(self) -> Asking:
        """Give what to ask for the next window: its language is that of the first window in which somebody spoke."""
        return replace(self.asking, language=self.asking.language or self._language)

    def add(self, transcript: Transcript, window: Window) -> Iterator[Segment | TextResult]:
        """Take what was heard in a window; give its segments with the recording's times.

        Before the first of all comes what the text output will be, where that is not plain text.
        """
        heard = [one for one in transcript.segments if one.text.strip()]
        if heard and not self._language:
            self._language = transcript.language
        if heard and not self._segments and self.form != "text":
            yield TextResult(media_type=FORMS[self.form])
        for one in heard:
            segment = _moved(one, window, words=self.asking.word_timestamps)
            self._segments.append(segment)
            if self.form == "json":
                self._raw.append(_raw(one, segment, len(self._raw), window))
            yield segment

    def result(self) -> TextResult:
        """Give what is known in the end."""
        language = "en" if self.asking.translate else self.asking.language or self._language
        document = self._json(language) if self.form == "json" else render(self.form, self._segments, language=language)
        return TextResult(document, language, self._confidence(), media_type=FORMS[self.form])

    def _confidence(self) -> float | None:
        """Give the mean confidence of the segments, each by its length."""
        rated = [
            (one.confidence, max(one.end - one.start, 0.01)) for one in self._segments if one.confidence is not None
        ]
        length = sum(seconds for _, seconds in rated)
        return sum(confidence * seconds for confidence, seconds in rated) / length if rated else None

    def _json(self, language: str) -> str:
        """Write what the backend would for the whole recording."""
        text = joined(self._segments, language)
        return json.dumps({"language": language or None, "segments": self._raw, "text": text})


def _moved(heard: Heard, window: Window, *, words: bool) -> Segment:
    """Give a segment with the recording's times: the model may put an end behind that of the window."""

    def moved(seconds: float) -> float:
        return min(window.start + max(0.0, seconds), window.end)

    listed = tuple(Word(moved(one.start), moved(one.end), one.text, one.confidence) for one in heard.words)
    said = heard.text.strip()
    text = f"[{heard.speaker}]: {said}" if heard.speaker else said
    return Segment(moved(heard.start), moved(heard.end), text, heard.confidence, listed if words else ())


def _raw(heard: Heard, segment: Segment, number: int, window: Window) -> dict[str, Any]:
    """Give a segment as the backend does, with the recording's times."""
    raw = heard.raw | {"id": number, "start": round(segment.start, 3), "end": round(segment.end, 3)}
    if isinstance(raw.get("seek"), int | float):
        raw["seek"] += round(window.start * SEEK_A_SECOND)
    raw["words"] = [
        {"start": round(one.start, 3), "end": round(one.end, 3), "word": one.text, "probability": one.confidence}
        for one in segment.words
    ] or None
    return raw
