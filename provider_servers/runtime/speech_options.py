"""Options that the providers of Whisper share: names, types and defaults are the same, whatever runs the model."""

from __future__ import annotations

from typing import Any

from provider_servers.runtime.subtitles import FORMS

LANGUAGES = (
    "af|am|ar|as|az|ba|be|bg|bn|bo|br|bs|ca|cs|cy|da|de|el|en|es|et|eu|fa|fi|fo|fr|gl|gu|ha|haw|he|hi|hr|"
    "ht|hu|hy|id|is|it|ja|jw|ka|kk|km|kn|ko|la|lb|ln|lo|lt|lv|mg|mi|mk|ml|mn|mr|ms|mt|my|ne|nl|nn|no|oc|"
    "pa|pl|ps|pt|ro|ru|sa|sd|si|sk|sl|sn|so|sq|sr|su|sv|sw|ta|te|tg|th|tk|tl|tr|tt|uk|ur|uz|vi|yi|yo|yue|"
    "zh"
)
"""The codes that Whisper knows. The backend's engine fails on others, and gives no reason."""

WINDOW_SECONDS, LEAST_WINDOW_SECONDS, MOST_WINDOW_SECONDS = 60, 5, 600

COMMON: dict[str, Any] = {
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
"""What every engine of Whisper takes."""

VAD: dict[str, Any] = {
    "vad_filter": {"type": "boolean", "default": False, "description": "Leave out stretches without speech."}
}
