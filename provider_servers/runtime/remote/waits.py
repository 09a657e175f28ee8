"""How long is waited between requests to a vendor, and how often they are made again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds and counts; tests make them short.

    Attributes:
        first, longest: the pause after the first poll, which doubles until it is the longest.
        jitter: by which share a pause may be shorter or longer, so that many jobs do not ask at the same moment.
        patience: for how long polls may fail before the call does.
        late: for how long a result may be "still in progress" after the work was said to be done.
        submits: how often a submit is made that the vendor did not take.
        retry: the pause before such a submit, or an upload, is made again; it doubles.
        longest_retry: the longest pause that a vendor may ask for before a submit is made again.
        cancel: for how long a cancel is tried, and waited for, when the caller is gone.
        uploads, downloads: how often each is tried.
    """

    first: float = 1.0
    longest: float = 10.0
    jitter: float = 0.2
    patience: float = 600.0
    late: float = 120.0
    submits: int = 3
    retry: float = 1.0
    longest_retry: float = 30.0
    cancel: float = 5.0
    uploads: int = 3
    downloads: int = 5

    def pauses(self) -> Iterator[float]:
        """Give the pauses between polls, one after the other."""
        pause = self.first
        while True:
            yield pause * random.uniform(1 - self.jitter, 1 + self.jitter)  # noqa: S311 - no secret hangs on it
            pause = min(2 * pause, self.longest)

    def before_retry(self, attempt: int, asked: float | None = None) -> float:
        """Give the pause before something is tried again, after so many attempts; what the vendor asks for counts."""
        return self.retry * 2 ** (attempt - 1) if asked is None else min(asked, self.longest_retry)
