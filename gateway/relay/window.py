"""Two counts over the last seconds."""

from __future__ import annotations

from typing import Final

_STEPS: Final = 10


class Window:
    """Two counts that forget what is older than so many seconds, in steps of a tenth of that."""

    __slots__ = ("_step_seconds", "_steps")

    def __init__(self, seconds: float) -> None:
        self._step_seconds = seconds / _STEPS
        self._steps = [[-1, 0, 0] for _ in range(_STEPS)]

    def add(self, now: float, first: int, second: int) -> None:
        """Count at a time."""
        number = int(now / self._step_seconds)
        step = self._steps[number % _STEPS]
        if step[0] != number:
            step[:] = (number, 0, 0)
        step[1] += first
        step[2] += second

    def totals(self, now: float) -> tuple[int, int]:
        """Give both counts."""
        oldest = int(now / self._step_seconds) - _STEPS + 1
        recent = [step for step in self._steps if step[0] >= oldest]
        return sum(step[1] for step in recent), sum(step[2] for step in recent)

    def clear(self) -> None:
        """Forget everything."""
        for step in self._steps:
            step[:] = (-1, 0, 0)
