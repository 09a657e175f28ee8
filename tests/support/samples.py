"""Memory and open files of a process over time, written down as CSV."""

from __future__ import annotations

import asyncio
import csv
import statistics
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

COLUMNS = ("seconds", "memory_mib", "descriptors", "calls")


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process held at a moment: resident memory in MiB and descriptors; and how many calls had ended."""

    seconds: float
    memory_mib: float
    descriptors: int
    calls: int


def memory_mib(pid: int) -> float:
    """Give the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def descriptors(pid: int) -> int:
    """Give how many descriptors a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


@dataclass(slots=True)
class Samples:
    """The samples of one process."""

    pid: int
    taken: list[Sample] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write them as CSV."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            for one in self.taken:
                rows.writerow((f"{one.seconds:.1f}", f"{one.memory_mib:.2f}", one.descriptors, one.calls))

    def medians(self, begin: float, end: float) -> tuple[float, float]:
        """Give the medians of memory and of descriptors between two moments."""
        within = [one for one in self.taken if begin <= one.seconds <= end]
        memory = statistics.median(one.memory_mib for one in within)
        return memory, statistics.median(one.descriptors for one in within)


@asynccontextmanager
async def sampling(pid: int, calls: Callable[[], int], period: float = 1.0) -> AsyncIterator[Samples]:
    """Take samples for the time of the block."""
    samples = Samples(pid)
    begin = time.monotonic()

    async def sample() -> None:
        while True:
            now = time.monotonic() - begin
            samples.taken.append(Sample(now, memory_mib(pid), descriptors(pid), calls()))
            await asyncio.sleep(period)

    task = asyncio.create_task(sample())
    try:
        yield samples
        assert not task.done(), "the process is gone"
    finally:
        task.cancel()
        await asyncio.wait({task})
