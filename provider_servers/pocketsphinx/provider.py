"""Media in: speech in US English, cast to 16 kHz mono. Media out: text, in segments as they are heard.

Engine: pocketsphinx 5.1 in child processes, with the acoustic and language model of its wheel. It is right for clear
speech and poor on noisy recordings.
"""

from __future__ import annotations

from contextlib import aclosing
from importlib.util import find_spec
from typing import TYPE_CHECKING

from automarket.errors import InputEmpty
from provider_servers.pocketsphinx.decoders import Decoders
from provider_servers.pocketsphinx.engine import BYTES_A_SECOND, SAMPLE_RATE
from provider_servers.pocketsphinx.samples import samples
from provider_servers.runtime import (
    AudioFormat,
    Availability,
    Call,
    Event,
    Model,
    Output,
    Provider,
    Role,
    Segment,
    Slot,
    TextResult,
    Usage,
    Word,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from provider_servers.pocketsphinx.engine import Utterance

EN_US = Model(
    id="en-us",
    capabilities=("speech-to-text",),
    inputs=(
        Slot(
            "audio",
            Role.SPEECH,
            audio=AudioFormat("wav", SAMPLE_RATE, 1),
            description="Speech in US English; other media is cast to 16 kHz mono.",
        ),
    ),
    outputs=(Output("text", Role.TEXT, ("text/plain",)),),
    options={
        "language": {"type": "string", "enum": ["en", "en-US"], "description": "The only language there is."},
        "word_timestamps": {"type": "boolean", "default": False, "description": "Give start and end of every word."},
    },
    canonical_id="cmusphinx/en-us",
    aliases=("pocketsphinx-en-us",),
    name="CMU Sphinx US English",
    description="Small general-purpose model for clear speech; runs anywhere, needs no download.",
    version="5.1",
    replay_safe=True,
)


class PocketsphinxProvider(Provider):
    """Speech-to-text with no download and no key."""

    id = "pocketsphinx"
    name = "pocketsphinx"
    description = "Speech-to-text in US English by CMU pocketsphinx on this machine; no download, no key."
    aliases = ("sphinx",)
    max_concurrent_calls = 2

    def __init__(self) -> None:
        self._decoders = Decoders()

    @classmethod
    def availability(cls) -> Availability:
        """Say whether the engine is installed."""
        if find_spec("pocketsphinx") is None:
            return Availability(
                available=False,
                reason="the pocketsphinx package is not installed",
                hint="pip install 'automarket[pocketsphinx]'",
            )
        return Availability()

    def models(self) -> Sequence[Model]:
        """List the one model."""
        return (EN_US,)

    async def open(self) -> None:
        """Load the model before the first call."""
        await self._decoders.warm()

    async def close(self) -> None:
        """End the decoders."""
        await self._decoders.close()

    async def transform(self, call: Call) -> AsyncGenerator[Event]:
        """Transcribe: a segment for every utterance. Sound without speech gives an empty text."""
        heard = 0

        async def counted() -> AsyncGenerator[bytes]:
            nonlocal heard
            async for piece in sound:
                heard += len(piece)
                yield piece

        async with (
            self._decoders.lend() as decoder,
            aclosing(samples(call.input("audio").chunks())) as sound,
            aclosing(counted()) as pieces,
            aclosing(decoder.hear(pieces)) as utterances,
        ):
            async for utterance in utterances:
                yield _segment(utterance, words=call.options["word_timestamps"])
        if not heard:
            raise InputEmpty("the sound plays for 0 s", hint="check how it was recorded")
        yield TextResult(language="en-US")
        yield Usage("second", input_units=heard / BYTES_A_SECOND)


def _segment(utterance: Utterance, *, words: bool) -> Segment:
    listed = tuple(Word(word.start, word.end, word.text, word.confidence) for word in utterance.words)
    return Segment(utterance.start, utterance.end, utterance.text, utterance.confidence, listed if words else ())
