"""Text that a model of Replicate makes: a string, a list of pieces that grows, an object of the model's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from provider_servers.runtime.events import Segment, TextDelta, TextResult

if TYPE_CHECKING:
    from provider_servers.runtime.events import Spoken

_KEYS = ("transcription", "text", "caption", "answer", "output", "transcript")
_LANGUAGES = ("detected_language", "language")


def spoken_of(output: Any) -> tuple[Spoken, ...]:
    """Give a text output as events; empty where there is none."""
    if isinstance(output, list):
        tokens = tuple(one for one in cast("list[Any]", output) if isinstance(one, str) and one)
        return (TextDelta(tokens),) if tokens else ()
    if isinstance(output, dict):
        return _of_object(cast("dict[str, Any]", output))
    return (TextDelta((str(output),)),) if output not in (None, "") else ()


def _of_object(output: dict[str, Any]) -> tuple[Spoken, ...]:
    """Give what an object tells: stretches of speech where it has them, else its text, else all of it as JSON."""
    text = next((output[key] for key in _KEYS if isinstance(output.get(key), str)), None)
    language = next((output[key] for key in _LANGUAGES if isinstance(output.get(key), str)), "")
    stretches = _segments(output.get("segments"))
    if stretches:
        return (*stretches, TextResult(text, language=language))
    if text is None:
        whole = msgspec.json.encode(output).decode()
        return (TextResult(media_type="application/json"), TextDelta((whole,)))
    return (TextDelta((text,)), TextResult(language=language))


def _segments(found: Any) -> tuple[Segment, ...]:
    listed = cast("list[Any]", found) if isinstance(found, list) else []
    try:
        return tuple(Segment(float(one["start"]), float(one["end"]), str(one["text"]).strip()) for one in listed)
    except (KeyError, TypeError, ValueError):
        return ()


def rest_of(output: Any, said: str) -> tuple[str, str]:
    """Give what a list of pieces has beyond what was said already, and all of it."""
    pieces = cast("list[Any]", output) if isinstance(output, list) else [output or ""]
    whole = "".join(str(one) for one in pieces)
    return (whole[len(said) :] if whole.startswith(said) else ""), max(whole, said, key=len)
