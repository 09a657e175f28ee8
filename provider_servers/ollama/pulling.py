"""How far a pull is: the bytes of all layers together, never shown falling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class PullState:
    """How far a pull is.

    Attributes:
        status: the backend's own words: "pulling manifest", "verifying sha256 digest".
        completed: bytes that have arrived.
        total: bytes of the layers that are known so far; 0 when none is.
        fraction: 0 to 1, never less than before; None while nothing is known.
    """

    status: str
    completed: int = 0
    total: int = 0
    fraction: float | None = None


class PullProgress:
    """Adds up the lines of one pull."""

    def __init__(self) -> None:
        self._totals: dict[str, int] = {}
        self._completed: dict[str, int] = {}
        self._fraction: float | None = None

    def take(self, line: Mapping[str, Any]) -> PullState:
        """Take a line; give the state after it. Zeros are left out by the backend."""
        if digest := str(line.get("digest", "")):
            total = int(line.get("total", 0))
            completed = int(line.get("completed", 0))
            self._totals[digest] = max(self._totals.get(digest, 0), total)
            self._completed[digest] = max(self._completed.get(digest, 0), completed)
        total, completed = sum(self._totals.values()), sum(self._completed.values())
        if total:  # a layer that appears late makes the share smaller: the larger one is kept
            self._fraction = max(self._fraction or 0.0, min(1.0, completed / total))
        return PullState(str(line.get("status", "")), completed, total, self._fraction)
