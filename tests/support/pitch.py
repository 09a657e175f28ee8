"""The pitch of a voice, for tests that have to hear whether two voices differ."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np

_LOWEST, _HIGHEST = 65, 380  # Hz
_CLEAR = 0.45


def pitch(sound: Path | bytes) -> float:
    """Give the median pitch of the voiced parts of a WAV with 16-bit samples, in Hz.

    By the average magnitude difference: the shift by which a sound differs least from itself is its period.
    """
    samples, rate = _read(sound)
    first, last = int(rate / _HIGHEST), int(rate / _LOWEST)
    size = 2 * last
    loud = np.abs(samples).mean()
    found: list[float] = []
    for begin in range(0, len(samples) - size - last, size):
        frame = samples[begin : begin + size]
        if np.abs(frame).mean() < loud:
            continue
        differences = np.array(
            [np.abs(frame - samples[begin + lag : begin + lag + size]).mean() for lag in range(first, last)]
        )
        if differences.min() < _CLEAR * differences.mean():
            # Twice the period fits as well: the first of the shifts that fit is the period.
            fits = differences < differences.min() * 1.25
            lag = int(np.argmax(fits))
            while lag + 1 < len(differences) and differences[lag + 1] < differences[lag]:
                lag += 1
            found.append(rate / (lag + first))
    assert found, "nothing voiced was found"
    return float(np.median(found))


def _read(sound: Path | bytes) -> tuple[np.ndarray, int]:
    data = sound.read_bytes() if isinstance(sound, Path) else sound
    with wave.open(io.BytesIO(data)) as reader:
        assert (reader.getsampwidth(), reader.getnchannels()) == (2, 1)
        frames = reader.readframes(reader.getnframes())
        return np.frombuffer(frames, "<i2").astype(float), reader.getframerate()
