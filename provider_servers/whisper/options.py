"""What the model takes, by the engine that the backend's image runs, and what that asks of the backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provider_servers.runtime.speech_options import COMMON, VAD
from provider_servers.whisper.client import Asking

if TYPE_CHECKING:
    from collections.abc import Mapping

_SPEAKERS: dict[str, Any] = {
    "diarize": {
        "type": "boolean",
        "default": False,
        "description": "Say who speaks. The recording is sent whole: speakers are told apart within one request only.",
    },
    "min_speakers": {"type": "integer", "minimum": 1, "maximum": 100, "description": "How many there are at least."},
    "max_speakers": {"type": "integer", "minimum": 1, "maximum": 100, "description": "How many there are at most."},
}
_OF_ENGINES = {"faster_whisper": VAD, "whisperx": _SPEAKERS}


def schema(engine: str) -> dict[str, Any]:
    """Give the options' schema. What the engine would take and not heed is left out, so that it is refused by name."""
    return COMMON | _OF_ENGINES.get(engine, {})


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
