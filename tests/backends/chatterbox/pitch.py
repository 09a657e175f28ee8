"""The pitch of a voice, by autocorrelation."""

from __future__ import annotations

import numpy as np

_LOWEST, _HIGHEST = 60, 400  # Hz
_FRAME_SECONDS = 0.06
_CLEAR = 0.5


def pitch_of(samples: np.ndarray, rate: int) -> float | None:
    """Give the median pitch of the voiced frames of 16-bit samples, in Hz; None when there are none."""
    size = int(rate * _FRAME_SECONDS)
    frames = [samples[begin : begin + size].astype(float) for begin in range(0, len(samples) - size, size // 2)]
    loudest = sorted(frames, key=lambda frame: -np.abs(frame).sum())[: max(1, len(frames) // 2)]
    found = [pitch for frame in loudest if (pitch := _of_frame(frame, rate)) is not None]
    return float(np.median(found)) if found else None


def _of_frame(frame: np.ndarray, rate: int) -> float | None:
    frame = frame - frame.mean()
    likeness = np.correlate(frame, frame, "full")[len(frame) - 1 :]
    if likeness[0] <= len(frame):  # hardly a sound
        return None
    first, last = int(rate / _HIGHEST), int(rate / _LOWEST)
    lag = first + int(np.argmax(likeness[first:last]))
    return rate / lag if likeness[lag] > _CLEAR * likeness[0] else None
