"""The sample of a voice: whether one can be taken from it, and the file that the server gets."""

from __future__ import annotations

import hashlib
import sys
from array import array
from dataclasses import dataclass

from automarket.errors import InputEmpty, InputUnsuitable, MediaInvalid
from automarket.media.wav import wav_header, wav_layout
from provider_servers.runtime import AudioFormat

SAMPLE_RATE = 24_000  # what the model makes of every sample
FORM = AudioFormat("wav", SAMPLE_RATE, 1)
LONGEST_SECONDS = 30.0  # the server refuses more
SHORTEST_SECONDS = 1.0  # in less there are too few sounds to tell a voice by, and the model makes up the rest
SHORTEST_TURBO_SECONDS = 5.0  # Chatterbox Turbo fails on samples that are not longer

_FIELD = "header.inputs.voice"
_STEP = SAMPLE_RATE // 50
_AUDIBLE = 328  # a hundredth of full scale, -40 dB
_LEAST_AUDIBLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class VoiceSample:
    """A sample that can be used.

    Attributes:
        wav: the file.
        seconds: how long it plays.
        name: a name that no other sample has.
    """

    wav: bytes
    seconds: float
    name: str


def read_sample(wav: bytes) -> VoiceSample:
    """Check a WAV of the form FORM.

    Raises:
        InputUnsuitable: it is too short, or nobody is heard in it.
        InputEmpty: it plays for no time.
    """
    layout = wav_layout(wav)
    if layout is None:
        raise MediaInvalid("the voice sample is no sound that can be read", fields={_FIELD: "not readable"})
    end = len(wav) if layout.data_bytes is None else layout.offset + layout.data_bytes
    sound = wav[layout.offset : end]
    sound = sound[: len(sound) // 2 * 2]
    seconds = len(sound) / 2 / SAMPLE_RATE
    if not seconds:
        raise InputEmpty("the voice sample plays for 0 s", fields={_FIELD: "empty"})
    if seconds < SHORTEST_SECONDS:
        raise too_short(seconds, SHORTEST_SECONDS, "a voice cannot be taken from less than")
    if _audible_seconds(sound) < _LEAST_AUDIBLE_SECONDS:
        message = f"the voice sample is silent: in its {seconds:.1f} s nobody is heard"
        raise InputUnsuitable(
            message, hint="send a sample in which one person speaks clearly", fields={_FIELD: "silent"}
        )
    return VoiceSample(
        wav=wav_header(SAMPLE_RATE, 1, len(sound)) + sound,
        seconds=seconds,
        name=f"am-{hashlib.sha256(sound).hexdigest()[:32]}",
    )


def too_short(seconds: float, least: float, why: str) -> InputUnsuitable:
    """Give the error for a sample that is too short."""
    message = f"the voice sample plays for {seconds:.1f} s; {why} {least:.0f} s"
    hint = f"send {max(least, 5):.0f} to {LONGEST_SECONDS:.0f} s in which one person speaks"
    return InputUnsuitable(message, hint=hint, fields={_FIELD: "too short"})


def _audible_seconds(sound: bytes) -> float:
    samples = array("h", sound)
    if sys.byteorder == "big":
        samples.byteswap()
    steps = (samples[begin : begin + _STEP] for begin in range(0, len(samples), _STEP))
    return sum(len(step) for step in steps if max(step) >= _AUDIBLE or min(step) <= -_AUDIBLE) / SAMPLE_RATE
