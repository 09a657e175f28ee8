"""pocketsphinx behind Whisper's kind of answer: segments with likelihoods, words with their times. US English only."""

from __future__ import annotations

import importlib
import math
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE_RATE = 16_000
BYTES_A_SECOND = SAMPLE_RATE * 2

# What the decoder is told so that it makes few errors: see the provider that has this engine.
_FIRST_MEAN = "52,2,11,22,3,1,4,-8,-6,-5,7,1,3"
_QUICK = {"ds": 2, "topn": 2, "maxwpf": 5, "maxhmmpf": 3000, "pl_window": 5}  # half the time, 6 % errors, not 2
_SILENCE_SECONDS, _SILENT_SHARE, _DETECTOR = 0.4, 0.8, 3
_SOFT_SECONDS, _HARD_SECONDS, _QUIET_FRAMES, _QUIET_SHARE = 4.0, 15.0, 3, 1 / 18


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    start: float
    end: float
    probability: float


class Engine:
    """A loaded model; hears one sound at a time and blocks meanwhile."""

    def __init__(self) -> None:
        self._sphinx: Any = importlib.import_module("pocketsphinx")
        self._decoder: Any = self._sphinx.Decoder(samprate=SAMPLE_RATE, loglevel="FATAL", **_QUICK)

    def hear(self, samples: bytes) -> Iterator[list[Word]]:
        """Give the words of each utterance."""
        self._decoder.reinit_feat()
        self._decoder.set_cmn(_FIRST_MEAN)
        for begin, speech in self._utterances(samples):
            self._decoder.start_utt()
            self._decoder.process_raw(speech, full_utt=False)
            self._decoder.end_utt()
            if words := list(self._words(begin)):
                yield words

    def _utterances(self, samples: bytes) -> Iterator[tuple[float, bytes]]:
        """Give the stretches of speech and where they begin."""
        finder: Any = self._sphinx.Endpointer(
            window=_SILENCE_SECONDS, ratio=_SILENT_SHARE, vad_mode=_DETECTOR, sample_rate=SAMPLE_RATE
        )
        size: int = finder.frame_bytes
        begin, goes_on, speech, loudest, quiet = 0.0, False, bytearray(), 0, 0
        places = range(0, max(0, len(samples) - 1), size)
        for place in places:
            frame = samples[place : place + size]
            is_last = place == places[-1]
            found = finder.end_stream(frame) if is_last else finder.process(frame)
            if not found:
                continue
            if not goes_on:
                begin = finder.speech_start
            speech += found
            loud = max(map(abs, array("h", found)))
            loudest = max(loudest, loud)
            quiet = quiet + 1 if loud < loudest * _QUIET_SHARE else 0
            seconds = len(speech) / BYTES_A_SECOND
            long = seconds > _HARD_SECONDS or (seconds > _SOFT_SECONDS and quiet >= _QUIET_FRAMES)
            if is_last or not finder.in_speech or long:
                yield begin, bytes(speech)
                begin += seconds
                speech, loudest, quiet = bytearray(), 0, 0
            goes_on = finder.in_speech

    def _words(self, begin: float) -> Iterator[Word]:
        frame = 1.0 / float(self._decoder.config["frate"])
        for one in self._decoder.seg() or ():
            if one.word.startswith(("<", "[", "++")):
                continue
            probability = min(1.0, float(self._decoder.logmath.exp(one.prob)))
            text = one.word.partition("(")[0]
            yield Word(text, begin + one.start_frame * frame, begin + (one.end_frame + 1) * frame, probability)


def segment(number: int, words: list[Word], *, with_words: bool) -> dict[str, Any]:
    """Give an utterance as Whisper gives a segment."""
    likelihood = sum(math.log(max(word.probability, 1e-6)) for word in words) / len(words)
    listed = [
        {"start": round(one.start, 2), "end": round(one.end, 2), "word": f" {one.text}", "probability": one.probability}
        for one in words
    ]
    return {
        "id": number,
        "seek": 0,
        "start": round(words[0].start, 2),
        "end": round(words[-1].end, 2),
        "text": "".join(f" {word.text}" for word in words),
        "tokens": [len(word.text) for word in words],
        "avg_logprob": likelihood,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.02,
        "words": listed if with_words else None,
        "temperature": 0.0,
    }
