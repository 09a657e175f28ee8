"""Who waits for which provider, in which order."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.control.jobs.work import Work


def _key(work: Work) -> tuple[bool, int, int]:
    return work.key


class Lines:
    """The jobs that wait, in one line for each provider; those for whom none is known yet are in the line ""."""

    def __init__(self) -> None:
        self._lines: dict[str, list[Work]] = {}
        self._positions: dict[str, dict[int, int]] = {}

    def join(self, work: Work) -> None:
        """Let a job wait in its line."""
        insort(self._lines.setdefault(work.line, []), work, key=_key)
        self._positions.pop(work.line, None)

    def leave(self, work: Work) -> bool:
        """Take a job out of its line; False when it was not in it."""
        line = self._lines.get(work.line, [])
        place = bisect_left(line, work.key, key=_key)
        if place >= len(line) or line[place] is not work:
            return False
        del line[place]
        self._positions.pop(work.line, None)
        if not line:
            del self._lines[work.line]
        return True

    def move(self, work: Work, line: str) -> None:
        """Let a job wait in another line."""
        self.leave(work)
        work.line = line
        self.join(work)

    def names(self) -> list[str]:
        """Give the lines in which somebody waits."""
        return list(self._lines)

    def waiting(self, line: str) -> Iterator[Work]:
        """Give those who wait in a line, in order, as it is now."""
        yield from tuple(self._lines.get(line, ()))

    def position(self, work: Work) -> int | None:
        """Give how many are before a job in its line; None when it does not wait there."""
        places = self._positions.get(work.line)
        if places is None:
            line = self._lines.get(work.line, ())
            places = self._positions[work.line] = {one.number: place for place, one in enumerate(line)}
        return places.get(work.number)

    def __len__(self) -> int:
        """Give how many wait."""
        return sum(map(len, self._lines.values()))
