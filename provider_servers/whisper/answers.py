"""What the backend answers, read with care: builds differ in the shape of segments and in what they leave out."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any, cast

from automarket.errors import BackendFailed

# How faster-whisper listed the fields of a segment and of a word while they were tuples, which JSON makes arrays of.
# The older order has the temperature before the likelihoods.
_COMMON = ("id", "seek", "start", "end", "text", "tokens")
_FIELDS = (*_COMMON, "avg_logprob", "compression_ratio", "no_speech_prob", "words", "temperature")
_OLDER_FIELDS = (*_COMMON, "temperature", "avg_logprob", "compression_ratio", "no_speech_prob", "words")
_WORD_FIELDS = ("start", "end", "word", "probability")


@dataclass(frozen=True, slots=True)
class HeardWord:
    """One word, with seconds from the start of the sound; confidence 0 to 1, where the backend says it."""

    start: float
    end: float
    text: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """A segment: times in seconds from the start of the sound, the text, and all that the backend says of it.

    Attributes:
        speaker: who speaks, where that was asked for: "SPEAKER_00".
        raw: the segment as the backend gave it, fields by name.
    """

    start: float
    end: float
    text: str
    words: tuple[HeardWord, ...] = ()
    speaker: str = ""
    raw: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def confidence(self) -> float | None:
        """How sure the model is, 0 to 1; None when it does not say.

        exp(avg_logprob) is the mean likelihood of the tokens; it counts as much as it is likely that somebody speaks
        at all: times 1 - no_speech_prob. An engine that gives neither rates words: their mean is taken.
        """
        likelihood, silence = self.raw.get("avg_logprob"), self.raw.get("no_speech_prob") or 0.0
        if isinstance(likelihood, int | float):
            return _share(math.exp(min(likelihood, 0.0)) * (1 - silence))
        rated = [word.confidence for word in self.words if word.confidence is not None]
        return _share(sum(rated) / len(rated)) if rated else None


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard: the language as a code of Whisper's, empty when the backend does not say; the segments."""

    language: str
    segments: tuple[Heard, ...]


@dataclass(frozen=True, slots=True)
class Language:
    """The language that is spoken: its code, its English name, and how sure the model is, 0 to 1."""

    code: str
    name: str = ""
    confidence: float | None = None


def read_transcript(text: str) -> Transcript:
    """Read the answer that was asked for as JSON.

    Raises:
        BackendFailed: it is something else.
    """
    answer = _object(text)
    try:
        segments = tuple(_segment(one) for one in answer["segments"])
        return Transcript(str(answer.get("language") or ""), segments)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise _not_understood(text) from error


def read_language(text: str) -> Language:
    """Read the answer to the question which language is spoken.

    Raises:
        BackendFailed: it is something else.
    """
    answer = _object(text)
    code, confidence = answer.get("language_code"), answer.get("confidence")
    if not isinstance(code, str):
        raise _not_understood(text)
    rated = isinstance(confidence, int | float)
    return Language(code, str(answer.get("detected_language") or ""), _share(confidence) if rated else None)


def _object(text: str) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise _not_understood(text) from error
    if not isinstance(answer, dict):
        raise _not_understood(text)
    return cast("dict[str, Any]", answer)


def _segment(given: Any) -> Heard:
    raw = _named(given)
    start, end = float(raw["start"]), float(raw["end"])
    if not (math.isfinite(start) and math.isfinite(end)):
        message = "a segment has no times"
        raise ValueError(message)
    words = tuple(_word(one, start, end) for one in raw["words"] or ())
    return Heard(start, max(start, end), str(raw["text"]), words, str(raw.get("speaker") or ""), raw)


def _named(given: Any) -> dict[str, Any]:
    """Give a segment with its fields by name, and its words' too."""
    if isinstance(given, dict):
        raw = cast("dict[str, Any]", given)
    else:
        older = isinstance(given[9], int | float)  # where the newer order has the words
        raw = dict(zip(_OLDER_FIELDS if older else _FIELDS, given, strict=False))
    words: list[Any] = raw.get("words") or []
    by_name: list[Any] = [one if isinstance(one, dict) else dict(zip(_WORD_FIELDS, one, strict=False)) for one in words]
    return raw | {"words": by_name or None}


def _word(raw: dict[str, Any], start: float, end: float) -> HeardWord:
    """Read a word; one that the engine could not place, such as a number, gets the times of its segment."""
    begin = float(raw.get("start", start))
    confidence = raw.get("probability", raw.get("score"))
    rated = isinstance(confidence, int | float)
    text = str(raw["word"]).strip()
    return HeardWord(begin, max(begin, float(raw.get("end", end))), text, _share(confidence) if rated else None)


def _share(value: float) -> float | None:
    return min(1.0, max(0.0, value)) if math.isfinite(value) else None


def _not_understood(text: str) -> BackendFailed:
    begin = " ".join(text[:80].split())
    message = f"the whisper backend answered what is no transcript: {begin!r}" if begin else "it answered nothing"
    return BackendFailed(message, hint="check which image runs", metadata={"phase": "running"})
