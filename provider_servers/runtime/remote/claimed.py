"""Which work at a vendor is somebody's already: a submit that was lost is none of it."""

from __future__ import annotations

MOST_REMEMBERED = 10_000


class Claimed:
    """Names of work whose submit was answered in this process; the oldest are forgotten."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def __contains__(self, name: str) -> bool:
        """Tell whether work is somebody's."""
        return name in self._names

    def add(self, name: str) -> None:
        """Note that work is somebody's."""
        self._names[name] = None
        while len(self._names) > MOST_REMEMBERED:
            del self._names[next(iter(self._names))]
