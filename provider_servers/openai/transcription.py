"""Speech in, text out: POST /audio/transcriptions, and /audio/translations for English.

Models of the GPT family stream their words; Whisper gives segments, with words where they are wanted. Speech that is
over the vendor's limit is made smaller before it is sent, and refused where that does not do.
"""

from __future__ import annotations

import asyncio
import json
import math
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec

from automarket.assets.formats import recognise_file
from automarket.assets.roles import Role
from automarket.errors import InputTooLarge
from automarket.media.cast import cast_file
from automarket.media.info import AudioFormat, CastSpec
from provider_servers.openai.media_models import MAX_UPLOAD_BYTES
from provider_servers.runtime import Segment, TextDelta, TextResult, Usage, Word
from provider_servers.runtime.chat.compatible.refusals import read_fault
from provider_servers.runtime.http.multipart import FilePart, Form
from provider_servers.runtime.http.reading import read_batches
from provider_servers.runtime.http.sse import SseReader
from provider_servers.runtime.language_codes import tag_of_name
from provider_servers.runtime.subtitles import FORMS, render
from provider_servers.runtime.vendors.errors import broken, to_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

    import aiohttp

    from provider_servers.runtime import Call, Event
    from provider_servers.runtime.http.sse import SseEvent
    from provider_servers.runtime.vendors.upstream import Upstream

ENDINGS = {"opus": "ogg", "weba": "webm"}
"""The vendor tells forms by the file's ending, and knows fewer than there are."""
SMALLER = CastSpec(Role.SPEECH, audio=AudioFormat("mp3", 16_000, 1))  # 24 kbit/s: two hours and a half
OVERHEAD_BYTES = 64 * 1024  # of the form around the file
MAX_ANSWER_BYTES = 64 * 1024 * 1024
_OPTIONS = {name: name for name in ("language", "prompt", "temperature")}


class Used(msgspec.Struct):
    """What was used: "tokens" or "duration"."""

    type: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0


class HeardWord(msgspec.Struct):
    """A word of Whisper's."""

    word: str
    start: float
    end: float


class HeardSegment(msgspec.Struct):
    """A segment of Whisper's; times in seconds."""

    text: str
    start: float
    end: float
    avg_logprob: float | None = None


class Heard(msgspec.Struct):
    """What Whisper has heard."""

    text: str
    language: str = ""
    duration: float = 0.0
    segments: list[HeardSegment] = []
    words: list[HeardWord] | None = None
    usage: Used | None = None


class StreamEvent(msgspec.Struct):
    """An event of a transcript that is streamed."""

    type: str = ""
    delta: str = ""
    text: str = ""
    speaker: str = ""
    start: float = 0.0
    end: float = 0.0
    usage: Used | None = None
    error: Any = None


async def transcript(call: Call, upstream: Upstream) -> AsyncGenerator[Event]:
    """Write down what is said."""
    whisper = call.model.id.startswith("whisper")
    path = await _small_enough(await call.input("audio").path(), call)
    kind = await asyncio.to_thread(recognise_file, path)
    name = f"audio.{ENDINGS.get(kind.name, kind.extensions[0])}"
    form = Form(tuple(_fields(call, whisper=whisper)), (FilePart("file", name, kind.media_type, path),))
    task = "translations" if call.options.get("translate") else "transcriptions"
    made = upstream.request(
        "POST", f"/audio/{task}", body=form, model=call.model.id, options=_OPTIONS, family="speech_to_text"
    )
    async with made as response:
        if response.content_type == "text/html":
            raise broken(upstream.vendor, "it sent a web page instead of a transcript", call.model.id)
        events = _whole(call, response, upstream) if whisper else _streamed(call, response, upstream)
        async with aclosing(events):
            async for event in events:
                yield event


async def _small_enough(path: Path, call: Call) -> Path:
    """Give a file that the vendor takes: the speech as it is, or in a smaller form.

    Raises:
        InputTooLarge: it is too long in any form.
    """
    most = MAX_UPLOAD_BYTES - OVERHEAD_BYTES
    size = path.stat().st_size
    if size <= most:
        return path
    smaller = await cast_file(path, SMALLER, call.workdir)
    if smaller.stat().st_size > most:
        message = f"the speech has {smaller.stat().st_size:,} bytes even when it is made small; OpenAI takes {most:,}"
        hint = "cut it: automarket transform ... --model convert-audio --option start=0 --option duration=3600"
        raise InputTooLarge(message, hint=hint, fields={"header.inputs.audio": f"over {most:,} bytes"})
    call.log(f"sent as a smaller MP3: {size:,} bytes became {smaller.stat().st_size:,}")
    return smaller


def _fields(call: Call, *, whisper: bool) -> Iterator[tuple[str, str]]:
    options = call.options
    yield "model", call.model.id
    if "language" in options and not options.get("translate"):
        yield "language", options["language"].partition("-")[0].lower()
    for name in ("prompt", "temperature"):
        if name in options:
            yield name, str(options[name])
    if whisper:
        yield "response_format", "verbose_json"
        if not options.get("translate"):
            yield "timestamp_granularities[]", "segment"
            if options.get("word_timestamps"):
                yield "timestamp_granularities[]", "word"
        return
    yield "stream", "true"
    if "diarize" in call.model.id:
        yield "response_format", "diarized_json"
        yield "chunking_strategy", "auto"


async def _whole(call: Call, response: aiohttp.ClientResponse, upstream: Upstream) -> AsyncGenerator[Event]:
    """Give the segments of an answer that comes as one."""
    body = bytearray()
    async for piece in upstream.pieces(response):
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise broken(upstream.vendor, "the answer is too large", call.model.id)
    try:
        heard = msgspec.json.decode(body, type=Heard)
    except msgspec.DecodeError:
        raise broken(upstream.vendor, "its answer is no transcript", call.model.id) from None
    form = call.options["output_format"]
    segments = list(_segments(heard))
    if form != "text" and segments:
        yield TextResult(media_type=FORMS[form])
    for one in segments:
        yield one
    language = "en" if call.options.get("translate") else call.options.get("language") or tag_of_name(heard.language)
    if form == "text":
        document = heard.text
    elif form == "json":
        document = json.dumps(msgspec.json.decode(body), ensure_ascii=False)
    else:
        document = render(form, segments, language=language)
    yield TextResult(document.strip() if form == "text" else document, language, media_type=FORMS[form])
    yield _usage(heard.usage) if heard.usage else Usage("second", input_units=heard.duration)


def _segments(heard: Heard) -> Iterator[Segment]:
    words = list(heard.words or ())
    for number, one in enumerate(heard.segments):
        last = number == len(heard.segments) - 1
        inside = [word for word in words if last or word.start < one.end]
        words = words[len(inside) :]
        told = tuple(Word(word.start, max(word.start, word.end), word.word) for word in inside)
        yield Segment(one.start, max(one.start, one.end), one.text.strip(), _confidence(one.avg_logprob), told)


def _confidence(logprob: float | None) -> float | None:
    return None if logprob is None else math.exp(min(0.0, logprob))


async def _streamed(call: Call, response: aiohttp.ClientResponse, upstream: Upstream) -> AsyncGenerator[Event]:
    """Give the words of a stream as they come.

    Raises:
        BackendFailed: it ends without its last event.
    """
    speakers = "diarize" in call.model.id  # their segments hold the words
    raw = read_batches(
        response,
        SseReader(),
        who=upstream.vendor.name,
        first_seconds=upstream.first_seconds,
        idle_seconds=upstream.idle_seconds,
    )
    async with aclosing(raw) as batches:
        async for batch in batches:
            told = [_event(one, upstream, call.model.id) for one in batch]
            tokens = tuple(one.delta for one in told if one.type == "transcript.text.delta" and one.delta)
            if tokens and not speakers:
                yield TextDelta(tokens)
            for one in told:
                if one.type == "transcript.text.segment":
                    said = f"[{one.speaker}]: {one.text.strip()}" if one.speaker else one.text.strip()
                    yield Segment(one.start, max(one.start, one.end), said)
                elif one.type == "transcript.text.done":
                    yield TextResult(None if speakers else one.text, call.options.get("language", ""))
                    if one.usage is not None:
                        yield _usage(one.usage)
                    return
    raise broken(upstream.vendor, "the stream ended before the transcript did", call.model.id)


def _event(one: SseEvent, upstream: Upstream, model: str) -> StreamEvent:
    try:
        found = msgspec.json.decode(one.data, type=StreamEvent)
    except msgspec.DecodeError:
        raise broken(upstream.vendor, "the stream holds what is no event", model) from None
    if found.error is not None:
        raise to_error(read_fault(found.error, {}), upstream.vendor, model, _OPTIONS, "speech_to_text")
    return found


def _usage(used: Used) -> Usage:
    if used.type == "duration":
        return Usage("second", input_units=used.seconds)
    return Usage("token", input_units=used.input_tokens, output_units=used.output_tokens)
