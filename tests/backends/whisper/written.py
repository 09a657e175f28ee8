"""Transcripts as whisper-asr-webservice writes them."""

from __future__ import annotations

import json
from typing import Any

OLDER = ("id", "seek", "start", "end", "text", "tokens", "temperature", "avg_logprob", "compression_ratio")
OLDER += ("no_speech_prob", "words")


def written(output: str | None, language: str, segments: list[dict[str, Any]], shape: str = "objects") -> str:
    """Write a transcript; what is no known output is plain text."""
    texts = [one["text"].strip().replace("-->", "->") for one in segments]
    times = [(one["start"], one["end"]) for one in segments]
    if output == "json":
        rows = [as_shaped(one, shape) for one in segments]
        return json.dumps({"language": language, "segments": rows, "text": "".join(one["text"] for one in segments)})
    if output == "srt":
        blocks = enumerate(zip(times, texts, strict=True), 1)
        return "".join(f"{n}\n{clock(b, ',', 1)} --> {clock(e, ',', 1)}\n{text}\n\n" for n, ((b, e), text) in blocks)
    if output == "vtt":
        blocks = zip(times, texts, strict=True)
        return "WEBVTT\n\n" + "".join(f"{clock(b, '.')} --> {clock(e, '.')}\n{text}\n\n" for (b, e), text in blocks)
    if output == "tsv":
        rows = zip(times, texts, strict=True)
        return "start\tend\ttext\n" + "".join(
            f"{round(b * 1000)}\t{round(e * 1000)}\t{text}\n" for (b, e), text in rows
        )
    return "".join(f"{text}\n" for text in texts)


def as_shaped(one: dict[str, Any], shape: str) -> Any:
    """Write a segment as the builds do that had tuples, or as an object."""
    if shape == "objects":
        return one
    words = one["words"] and [[*word.values()] for word in one["words"]]
    row = one | {"words": words}
    return [row[name] for name in (OLDER if shape == "older" else row)]


def clock(seconds: float, mark: str, hours: int = 0) -> str:
    thousandths = round(seconds * 1000)
    hour, rest = divmod(thousandths, 3_600_000)
    minute, rest = divmod(rest, 60_000)
    second, thousandth = divmod(rest, 1000)
    return (f"{hour:02d}:" if hour or hours else "") + f"{minute:02d}:{second:02d}{mark}{thousandth:03d}"
