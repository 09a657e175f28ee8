"""Transcripts as documents: plain text, SRT, WebVTT, tab-separated values and JSON, as Whisper's tools write them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provider_servers.runtime.events import Segment

FORMS: dict[str, str] = {
    "text": "text/plain",
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
}
"""The media type of each form."""

_WITHOUT_SPACES = frozenset({"bo", "ja", "km", "lo", "my", "th", "yue", "zh"})


def render(form: str, segments: Sequence[Segment], *, language: str = "") -> str:
    """Write a transcript; `form` is a key of FORMS, `language` is what was spoken."""
    if form == "json":
        return _json(segments, language)
    return joined(segments, language) if form == "text" else _WRITERS[form](segments)


def joined(segments: Sequence[Segment], language: str) -> str:
    """Give the words of all segments; languages that are written without spaces get none."""
    between = "" if language.partition("-")[0] in _WITHOUT_SPACES else " "
    return between.join(segment.text for segment in segments)


def _srt(segments: Sequence[Segment]) -> str:
    blocks = (
        f"{number}\n{_time(one.start, ',', hours=True)} --> {_time(one.end, ',', hours=True)}\n{_line(one)}\n\n"
        for number, one in enumerate(segments, 1)
    )
    return "".join(blocks)


def _vtt(segments: Sequence[Segment]) -> str:
    blocks = (f"{_time(one.start, '.')} --> {_time(one.end, '.')}\n{_line(one)}\n\n" for one in segments)
    return "WEBVTT\n\n" + "".join(blocks)


def _tsv(segments: Sequence[Segment]) -> str:
    rows = (f"{round(one.start * 1000)}\t{round(one.end * 1000)}\t{' '.join(one.text.split())}\n" for one in segments)
    return "start\tend\ttext\n" + "".join(rows)


_WRITERS: dict[str, Callable[[Sequence[Segment]], str]] = {"srt": _srt, "vtt": _vtt, "tsv": _tsv}


def _json(segments: Sequence[Segment], language: str) -> str:
    rows = [
        {
            "id": number,
            "start": round(one.start, 3),
            "end": round(one.end, 3),
            "text": one.text,
            "confidence": one.confidence,
            "words": _words(one) or None,
        }
        for number, one in enumerate(segments)
    ]
    return json.dumps({"language": language or None, "segments": rows, "text": joined(segments, language)})


def _words(segment: Segment) -> list[dict[str, Any]]:
    return [
        {"start": round(word.start, 3), "end": round(word.end, 3), "word": word.text, "probability": word.confidence}
        for word in segment.words
    ]


def _line(segment: Segment) -> str:
    """Give the words on one line, without what would be read as a time."""
    return " ".join(segment.text.split()).replace("-->", "->")


def _time(seconds: float, mark: str, *, hours: bool = False) -> str:
    """Write a moment: hours, where they are wanted or needed, minutes, seconds and thousandths after the mark."""
    rest, thousandths = divmod(round(seconds * 1000), 1000)
    rest, second = divmod(rest, 60)
    hour, minute = divmod(rest, 60)
    return f"{hour:02d}:" * (hours or hour > 0) + f"{minute:02d}:{second:02d}{mark}{thousandths:03d}"
