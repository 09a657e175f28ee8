"""pocketsphinx over a stream of samples: speech is found, decoded while it is heard, and given utterance by utterance.

Everything here blocks, in steps of a tenth of a second of sound.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE_RATE = 16_000
BYTES_A_SECOND = SAMPLE_RATE * 2
STEP_BYTES = BYTES_A_SECOND // 10

# An utterance ends when eight of ten frames of 0.4 s are silent, by the detector's strictest measure of silence: the
# milder ones merge the sentences of a fluent speaker.
_WINDOW_SECONDS, _RATIO, _DETECTOR = 0.4, 0.8, 3


@dataclass(frozen=True, slots=True)
class HeardWord:
    """One word, with seconds from the start of the sound and the decoder's confidence, 0 to 1."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """A stretch of speech: seconds from the start of the sound, its words."""

    start: float
    end: float
    words: tuple[HeardWord, ...]

    @property
    def text(self) -> str:
        """The words, joined."""
        return " ".join(word.text for word in self.words)

    @property
    def confidence(self) -> float:
        """The mean confidence of the words."""
        return sum(word.confidence for word in self.words) / len(self.words)


def make_decoder() -> Any:
    """Load the model; takes about a third of a second."""
    engine: Any = importlib.import_module("pocketsphinx")
    return engine.Decoder(samprate=SAMPLE_RATE, loglevel="FATAL")


class Listener:
    """Hears one stream of 16-bit samples with a decoder that nobody else uses meanwhile."""

    def __init__(self, decoder: Any) -> None:
        engine: Any = importlib.import_module("pocketsphinx")
        self._decoder = decoder
        # Forget what the decoder has learned of the last caller's microphone: equal sound gives equal words.
        decoder.reinit_feat()
        self._endpointer: Any = engine.Endpointer(
            window=_WINDOW_SECONDS, ratio=_RATIO, vad_mode=_DETECTOR, sample_rate=SAMPLE_RATE
        )
        self._frame_bytes: int = self._endpointer.frame_bytes
        self._rest = b""
        self._speaking = False

    def hear(self, samples: bytes) -> Iterator[Utterance]:
        """Take samples; give the utterances that end in them."""
        self._rest += samples
        while len(self._rest) > self._frame_bytes:  # the last frame, whole or not, is left for `finish`
            frame, self._rest = self._rest[: self._frame_bytes], self._rest[self._frame_bytes :]
            yield from self._take(self._endpointer.process(frame))

    def finish(self) -> Iterator[Utterance]:
        """Say that the sound is over; give the utterance that was under way."""
        yield from self._take(self._endpointer.end_stream(self._rest) if self._rest else None)
        if self._speaking:
            yield from self._end()

    def abandon(self) -> None:
        """Leave the decoder as it was found."""
        if self._speaking:
            self._decoder.end_utt()
            self._speaking = False

    def _take(self, speech: bytes | None) -> Iterator[Utterance]:
        if not speech:
            return
        if not self._speaking:
            self._decoder.start_utt()
            self._speaking = True
        self._decoder.process_raw(speech)
        if not self._endpointer.in_speech:
            yield from self._end()

    def _end(self) -> Iterator[Utterance]:
        self._decoder.end_utt()
        self._speaking = False
        begin: float = self._endpointer.speech_start
        words = tuple(self._words(begin))
        if words:
            yield Utterance(begin, max(word.end for word in words), words)

    def _words(self, begin: float) -> Iterator[HeardWord]:
        frame_seconds = 1.0 / float(self._decoder.config["frate"])
        logmath = self._decoder.logmath
        for segment in self._decoder.seg() or ():
            if segment.word.startswith(("<", "[", "++")):  # silence and noise
                continue
            yield HeardWord(
                segment.word.partition("(")[0],  # "the(2)" is another way to say "the"
                begin + segment.start_frame * frame_seconds,
                begin + (segment.end_frame + 1) * frame_seconds,
                min(1.0, float(logmath.exp(segment.prob))),
            )
