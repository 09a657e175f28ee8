"""Sound cut into windows while it arrives: each at most so long, and cut where it is quietest.

Sound here is 16-bit samples, mono, 16,000 a second.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SAMPLE_RATE = 16_000
BYTES_A_SECOND = SAMPLE_RATE * 2
REST_SECONDS = 1.0
"""What is left over after the last cut is never shorter: a model makes up words for a scrap of sound."""

# A cut is looked for in the last third of a window, in its last 20 s at most: in the quietest 0.3 s of it, the last of
# those that are equal, and there in the quietest 40 ms, those in the middle if all are equal. How loud 20 ms are is
# told by the distance of their highest from their lowest sample: an offset of the whole recording does not count.
_PLACE, _MOST_SECONDS = 3, 20.0
_FRAME_BYTES, _PAUSE_FRAMES, _BREATH_FRAMES = BYTES_A_SECOND // 50, 15, 2


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a recording: where it begins and ends, in seconds, and its samples, in memory or in a file."""

    start: float
    end: float
    sound: bytes | Path


class Cutter:
    """Cuts one recording. Holds one window, a second more, and the piece that came last.

    Args:
        seconds: how long a window is at most; 1 or more.
    """

    def __init__(self, seconds: float) -> None:
        self._most = _whole(seconds)
        self._place = _whole(min(seconds / _PLACE, _MOST_SECONDS))
        self._rest = min(_whole(REST_SECONDS), self._most // 2 // 2 * 2)
        self._held = bytearray()
        self._bytes_before = 0

    def add(self, samples: bytes) -> Iterator[Window]:
        """Take whole samples; give the windows that are complete."""
        self._held += samples
        while len(self._held) > self._most + self._rest:
            yield self._cut(self._quietest(self._most))

    def finish(self) -> Iterator[Window]:
        """Give what is left, in one window or two."""
        if len(self._held) > self._most:
            yield self._cut(self._quietest(len(self._held) - self._rest))
        if self._held:
            yield self._cut(len(self._held))

    def _cut(self, end: int) -> Window:
        begin = self._bytes_before
        self._bytes_before += end
        sound = bytes(self._held[:end])
        del self._held[:end]
        return Window(begin / BYTES_A_SECOND, self._bytes_before / BYTES_A_SECOND, sound)

    def _quietest(self, end: int) -> int:
        """Give the quietest place before `end`, in bytes."""
        begin = max(0, end - self._place)
        frames = range(begin, end - _FRAME_BYTES + 1, _FRAME_BYTES)
        loud = [_loudness(self._held[place : place + _FRAME_BYTES]) for place in frames]
        pauses = _sums(loud, _PAUSE_FRAMES)
        pause = max(range(len(pauses)), key=lambda first: (-pauses[first], first))
        breaths = _sums(loud[pause : pause + _PAUSE_FRAMES], _BREATH_FRAMES)
        middle = len(breaths) // 2
        breath = min(range(len(breaths)), key=lambda first: (breaths[first], abs(first - middle)))
        return begin + (pause + breath) * _FRAME_BYTES + _BREATH_FRAMES * _FRAME_BYTES // 2


def _sums(loud: list[int], length: int) -> list[int]:
    """Give how loud every stretch of so many frames is."""
    before = [0, *accumulate(loud)]
    return [after - ago for ago, after in zip(before, before[length:], strict=False)]


def _whole(seconds: float) -> int:
    """Give the bytes of so many seconds, in whole samples."""
    return round(seconds * SAMPLE_RATE) * 2


def _loudness(samples: bytes | bytearray) -> int:
    values = array("h", samples)
    return max(values) - min(values)
