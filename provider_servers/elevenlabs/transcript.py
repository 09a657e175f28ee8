"""What ElevenLabs has heard: its words, put together to segments."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from provider_servers.runtime import Segment, TextResult, Usage, Word
from provider_servers.runtime.http.multipart import value_of
from provider_servers.runtime.language_codes import tag_of
from provider_servers.runtime.subtitles import FORMS, render

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provider_servers.runtime import Event

PAUSE_SECONDS = 1.0
MOST_SECONDS = 15.0
_ENDS = (".", "!", "?", "\u3002", "\uff01", "\uff1f", "\u2026")  # also the full stops of Chinese and Japanese
_SENT = ("temperature", "diarize", "num_speakers", "tag_audio_events", "seed", "no_verbatim")


class Spoken(msgspec.Struct):
    """A word, the space between two, or a sound that is none: "word", "spacing", "audio_event"."""

    text: str
    type: str = "word"
    start: float | None = None
    end: float | None = None
    speaker_id: str | None = None
    logprob: float | None = None


class Transcript(msgspec.Struct):
    """What was heard."""

    text: str
    language_code: str = ""
    language_probability: float | None = None
    words: list[Spoken] = []
    audio_duration_secs: float | None = None


def form_fields(model: str, options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give the fields of the request, beside the file."""
    fields = [("model_id", model), ("timestamps_granularity", "word")]
    if "language" in options:
        fields.append(("language_code", options["language"].partition("-")[0].lower()))
    fields += [(name, value_of(options[name])) for name in _SENT if name in options]
    return fields + [("keyterms", term) for term in options.get("keyterms", ())]


def transcript_events(heard: Transcript, options: Mapping[str, Any]) -> Iterator[Event]:
    """Give the segments, the text and what was used."""
    form = options["output_format"]
    segments = list(_segments(heard.words, speakers=options["diarize"]))
    language = tag_of(heard.language_code)
    if segments and form != "text":
        yield TextResult(media_type=FORMS[form])
    for one in segments:
        yield one if options["word_timestamps"] else replace(one, words=())
    if form == "text":
        document = heard.text if not options["diarize"] else "\n".join(one.text for one in segments) or heard.text
    elif form == "json":
        document = json.dumps(msgspec.to_builtins(heard), ensure_ascii=False)
    else:
        document = render(form, segments, language=language)
    yield TextResult(document, language, heard.language_probability, media_type=FORMS[form])
    yield Usage("second", input_units=heard.audio_duration_secs or max((one.end for one in segments), default=0.0))


def _segments(words: Sequence[Spoken], *, speakers: bool) -> Iterator[Segment]:
    """Put words together: up to the end of a sentence, a pause, another speaker, or a length that is enough."""
    group: list[Spoken] = []
    for one in words:
        if group and _begins_anew(group, one, speakers=speakers):
            yield from _segment(group, speakers=speakers)
            group = []
        group.append(one)
    yield from _segment(group, speakers=speakers)


def _begins_anew(group: Sequence[Spoken], one: Spoken, *, speakers: bool) -> bool:
    said = [word for word in group if word.type != "spacing"]
    if one.type == "spacing" or not said:
        return False
    last = said[-1]
    if speakers and one.speaker_id != last.speaker_id:
        return True
    if last.text.endswith(_ENDS):
        return True
    if one.start is None or last.end is None or said[0].start is None:
        return False
    return one.start - last.end > PAUSE_SECONDS or one.start - said[0].start > MOST_SECONDS


def _segment(group: Sequence[Spoken], *, speakers: bool) -> Iterator[Segment]:
    said = [word for word in group if word.type != "spacing"]
    text = "".join(word.text for word in group).strip()
    if not said or not text:
        return
    start = next((word.start for word in said if word.start is not None), 0.0)
    end = next((word.end for word in reversed(said) if word.end is not None), start)
    words = tuple(
        Word(word.start, max(word.start, word.end), word.text, _confidence([word]))
        for word in said
        if word.start is not None and word.end is not None
    )
    speaker = said[0].speaker_id if speakers else None
    yield Segment(start, max(start, end), f"[{speaker}]: {text}" if speaker else text, _confidence(said), words)


def _confidence(words: Sequence[Spoken]) -> float | None:
    """Give how sure the model is of words: the mean of their probabilities."""
    known = [math.exp(min(0.0, word.logprob)) for word in words if word.logprob is not None]
    return sum(known) / len(known) if known else None
