"""What the model takes, by the engine that the backend's image runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provider_servers.runtime.subtitles import FORMS
from provider_servers.whisper.client import Asking

if TYPE_CHECKING:
    from collections.abc import Mapping

LANGUAGES = (
    "af|am|ar|as|az|ba|be|bg|bn|bo|br|bs|ca|cs|cy|da|de|el|en|es|et|eu|fa|fi|fo|fr|gl|gu|ha|haw|he|hi|hr|"
    "ht|hu|hy|id|is|it|ja|jw|ka|kk|km|kn|ko|la|lb|ln|lo|lt|lv|mg|mi|mk|ml|mn|mr|ms|mt|my|ne|nl|nn|no|oc|"
    "pa|pl|ps|pt|ro|ru|sa|sd|si|sk|sl|sn|so|sq|sr|su|sv|sw|ta|te|tg|th|tk|tl|tr|tt|uk|ur|uz|vi|yi|yo|yue|"
    "zh"
)
"""The codes that Whisper knows. The backend's engine fails on others, and gives no reason."""

WINDOW_SECONDS, LEAST_WINDOW_SECONDS, MOST_WINDOW_SECONDS = 60, 5, 600

_COMMON: dict[str, Any] = {
    "language": {
        "type": "string",
        "pattern": f"^({LANGUAGES})(-[A-Za-z0-9-]+)?$",
        "description": 'What is spoken, as a BCP 47 tag: "en", "en-US". Not set: found out from what is heard first.',
    },
    "translate": {"type": "boolean", "default": False, "description": "Give the words in English."},
    "word_timestamps": {"type": "boolean", "default": False, "description": "Give start and end of every word."},
    "prompt": {
        "type": "string",
        "maxLength": 10_000,
        "description": "Text that tells the model which words and names to expect.",
    },
    "output_format": {
        "type": "string",
        "enum": list(FORMS),
        "default": "text",
        "description": "What the text output is: the words, subtitles (srt, vtt), a table (tsv) or all facts (json).",
    },
    "window_seconds": {
        "type": "number",
        "anyOf": [{"const": 0}, {"minimum": LEAST_WINDOW_SECONDS, "maximum": MOST_WINDOW_SECONDS}],
        "default": WINDOW_SECONDS,
        "description": (
            f"Longest stretch that is sent at once, {LEAST_WINDOW_SECONDS} to {MOST_WINDOW_SECONDS} s; longer sound is "
            "cut where it is quiet. Segments come, and a cancel frees the backend, window by window. 0 sends all of it."
        ),
    },
    "detect_language": {
        "type": "boolean",
        "default": False,
        "description": "Only find out which language is spoken in the first 30 s; the text is its code.",
    },
}
_VAD: dict[str, Any] = {
    "vad_filter": {"type": "boolean", "default": False, "description": "Leave out stretches without speech."}
}
_SPEAKERS: dict[str, Any] = {
    "diarize": {
        "type": "boolean",
        "default": False,
        "description": "Say who speaks. The recording is sent whole: speakers are told apart within one request only.",
    },
    "min_speakers": {"type": "integer", "minimum": 1, "maximum": 100, "description": "How many there are at least."},
    "max_speakers": {"type": "integer", "minimum": 1, "maximum": 100, "description": "How many there are at most."},
}
_OF_ENGINES = {"faster_whisper": _VAD, "whisperx": _SPEAKERS}


def schema(engine: str) -> dict[str, Any]:
    """Give the options' schema. What the engine would take and not heed is left out, so that it is refused by name."""
    return _COMMON | _OF_ENGINES.get(engine, {})


def asking(options: Mapping[str, Any]) -> Asking:
    """Give what a call's options ask of the backend."""
    return Asking(
        language=options.get("language", "").partition("-")[0],
        translate=options["translate"],
        word_timestamps=options["word_timestamps"],
        prompt=options.get("prompt", ""),
        vad_filter=options.get("vad_filter", False),
        diarize=options.get("diarize", False),
        min_speakers=options.get("min_speakers"),
        max_speakers=options.get("max_speakers"),
    )


def window_seconds(options: Mapping[str, Any]) -> float:
    """Give how long a window is at most; 0 when the recording is to be sent whole."""
    return 0 if options.get("diarize") else options["window_seconds"]
