"""pocketsphinx over a stream of samples: speech is found, decoded while it is heard, and given utterance by utterance.

Everything here blocks, and pocketsphinx keeps Python's lock while it works: `provider_servers.pocketsphinx.child` runs
it in a process of its own.
"""

from __future__ import annotations

import importlib
import struct
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE_RATE = 16_000
BYTES_A_SECOND = SAMPLE_RATE * 2
LENGTH = struct.Struct("<I")
"""What goes before each piece of sound on its way to a child."""

# An utterance ends when eight of ten frames of 0.4 s are silent, by the detector's strictest measure of silence: the
# milder ones merge the sentences of a fluent speaker.
_WINDOW_SECONDS, _RATIO, _DETECTOR = 0.4, 0.8, 3

# Somebody who makes no such pause is cut: after so many seconds where it is quiet for a moment, in the end anywhere.
# What is cut short is decoded nearly as well, and comes while the speech goes on.
SOFT_SECONDS, HARD_SECONDS = 4.0, 15.0
_QUIET_FRAMES, _QUIET_SHARE = 3, 1 / 18  # 90 ms at 25 dB below the loudest sample of the utterance

# Where the decoder begins to follow voice and microphone: the cepstral mean of clear speech at an ordinary level. Its
# own starting point makes errors in the first words of every call.
_FIRST_MEAN = "52,2,11,22,3,1,4,-8,-6,-5,7,1,3"


@dataclass(frozen=True, slots=True)
class HeardWord:
    """One word, with seconds from the start of the sound and the decoder's confidence, 0 to 1."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """A stretch of speech: the words, at least one."""

    words: tuple[HeardWord, ...]

    @property
    def start(self) -> float:
        """Seconds from the start of the sound."""
        return self.words[0].start

    @property
    def end(self) -> float:
        """Seconds from the start of the sound."""
        return self.words[-1].end

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
        # Forget what the decoder has learned of the last caller's voice: equal sound gives equal words.
        decoder.reinit_feat()
        decoder.set_cmn(_FIRST_MEAN)
        self._endpointer: Any = engine.Endpointer(
            window=_WINDOW_SECONDS, ratio=_RATIO, vad_mode=_DETECTOR, sample_rate=SAMPLE_RATE
        )
        self._frame_bytes: int = self._endpointer.frame_bytes
        self._rest = b""
        self._speaking = False
        self._begin, self._spoken = 0.0, 0.0
        self._loudest, self._quiet = 0, 0

    def hear(self, samples: bytes) -> Iterator[Utterance]:
        """Take samples; give the utterances that end in them."""
        self._rest += samples
        place = 0
        while len(self._rest) - place > self._frame_bytes:  # the last frame, whole or not, is left for `finish`
            speech = self._endpointer.process(self._rest[place : place + self._frame_bytes])
            place += self._frame_bytes
            yield from self._take(speech)
        self._rest = self._rest[place:]

    def finish(self) -> Iterator[Utterance]:
        """Say that the sound is over; give the utterance that was under way."""
        whole = self._rest[: len(self._rest) // 2 * 2]
        if whole:
            yield from self._take(self._endpointer.end_stream(whole))
        if self._speaking:
            yield from self._end()

    def _take(self, speech: bytes | None) -> Iterator[Utterance]:
        if not speech:
            return
        if not self._speaking:
            self._start()
        self._decoder.process_raw(speech)
        self._spoken += len(speech) / BYTES_A_SECOND
        if not self._endpointer.in_speech:
            yield from self._end()
        elif self._too_long(speech):
            following = self._begin + self._spoken
            yield from self._end()
            self._start(following)

    def _too_long(self, speech: bytes) -> bool:
        loud = max(map(abs, array("h", speech)))
        self._loudest = max(self._loudest, loud)
        self._quiet = self._quiet + 1 if loud < self._loudest * _QUIET_SHARE else 0
        return self._spoken > HARD_SECONDS or (self._spoken > SOFT_SECONDS and self._quiet >= _QUIET_FRAMES)

    def _start(self, begin: float | None = None) -> None:
        self._decoder.start_utt()
        self._speaking = True
        self._begin = self._endpointer.speech_start if begin is None else begin
        self._spoken, self._loudest, self._quiet = 0.0, 0, 0

    def _end(self) -> Iterator[Utterance]:
        self._decoder.end_utt()
        self._speaking = False
        if words := tuple(self._words()):
            yield Utterance(words)

    def _words(self) -> Iterator[HeardWord]:
        frame_seconds = 1.0 / float(self._decoder.config["frate"])
        logmath = self._decoder.logmath
        for segment in self._decoder.seg() or ():
            if segment.word.startswith(("<", "[", "++")):  # silence and noise
                continue
            yield HeardWord(
                segment.word.partition("(")[0],  # "the(2)" is another way to say "the"
                self._begin + segment.start_frame * frame_seconds,
                self._begin + (segment.end_frame + 1) * frame_seconds,
                min(1.0, float(logmath.exp(segment.prob))),
            )
