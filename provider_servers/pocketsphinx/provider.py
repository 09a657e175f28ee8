"""Media in: speech in US English, cast to 16 kHz mono. Media out: text, in segments as they are heard.

Engine: pocketsphinx 5.1 in this process, with the acoustic and language model of its wheel. It is right for clear
speech and poor on noisy recordings.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from provider_servers.pocketsphinx.engine import BYTES_A_SECOND, SAMPLE_RATE, STEP_BYTES, Listener, make_decoder
from provider_servers.pocketsphinx.samples import samples
from provider_servers.runtime import (
    AudioFormat,
    Availability,
    Call,
    Event,
    Model,
    Output,
    Progress,
    Provider,
    Role,
    Segment,
    Slot,
    TextResult,
    Usage,
    Word,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from provider_servers.pocketsphinx.engine import Utterance

T = TypeVar("T")

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
    description = "Speech-to-text in US English by CMU pocketsphinx, in the provider's own process."
    aliases = ("sphinx",)
    max_concurrent_calls = 2

    def __init__(self) -> None:
        self._decoders: list[Any] = []

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
        self._decoders.append(await asyncio.to_thread(make_decoder))

    @asynccontextmanager
    async def _decoder(self) -> AsyncGenerator[Any]:
        """Lend a decoder to one call."""
        decoder = self._decoders.pop() if self._decoders else await asyncio.to_thread(make_decoder)
        try:
            yield decoder
        finally:
            self._decoders.append(decoder)

    async def transform(self, call: Call) -> AsyncGenerator[Event]:
        """Transcribe: a segment for every utterance."""
        heard, last_shown = 0, 0.0
        async with self._decoder() as decoder, aclosing(samples(call.input("audio").chunks())) as sound:
            listener = await _blocking(lambda: Listener(decoder))
            try:
                async for piece in _steps(sound):
                    heard += len(piece)
                    for utterance in await _blocking(lambda piece=piece: list(listener.hear(piece))):
                        yield _segment(utterance, words=call.options["word_timestamps"])
                        last_shown = heard / BYTES_A_SECOND
                    if heard / BYTES_A_SECOND - last_shown > 10:
                        last_shown = heard / BYTES_A_SECOND
                        yield Progress("running", message=f"heard {last_shown:.0f} s")
                for utterance in await _blocking(lambda: list(listener.finish())):
                    yield _segment(utterance, words=call.options["word_timestamps"])
            finally:
                await _blocking(listener.abandon)
        yield TextResult(language="en-US")
        yield Usage("second", input_units=heard / BYTES_A_SECOND)


async def _blocking(step: Callable[[], T]) -> T:
    """Run one step of the decoder in a thread; a cancel waits for its end, since the decoder is lent on."""
    running = asyncio.ensure_future(asyncio.to_thread(step))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


async def _steps(sound: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Cut the sound into steps short enough that a cancel takes effect at once."""
    async for piece in sound:
        for begin in range(0, len(piece), STEP_BYTES):
            yield piece[begin : begin + STEP_BYTES]


def _segment(utterance: Utterance, *, words: bool) -> Segment:
    listed = tuple(Word(word.start, word.end, word.text, word.confidence) for word in utterance.words)
    return Segment(utterance.start, utterance.end, utterance.text, utterance.confidence, listed if words else ())
