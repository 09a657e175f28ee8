"""Limits of jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class JobSettings:
    """Limits of jobs; `ControlSettings` says where they come from.

    Attributes:
        parallel: how many jobs a provider works on at the same time, by its id; others say it themselves.
        max_queued: jobs that may wait.
        max_attempts: attempts in a row that bring a job no further.
        wait_seconds: how long a job waits for a provider that is not there.
        keep_seconds, keep_count: how long ended jobs are kept, and how many.
        keep_at_least_seconds: what ended since is kept however many there are.
        max_events: events that are kept of one job.
        slow_seconds: how long a watcher may leave its stream unread.
    """

    parallel: Mapping[str, int] = field(default_factory=dict[str, int])
    max_queued: int = 10_000
    max_attempts: int = 8
    wait_seconds: float = 86_400.0
    keep_seconds: float = 30 * 86_400.0
    keep_count: int = 10_000
    keep_at_least_seconds: float = 86_400.0
    max_events: int = 10_000
    slow_seconds: float = 60.0
