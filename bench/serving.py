"""What the processes that make measured calls share: they do what they are told, line by line, and count what came."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

Result = dict[str, float]


def expect(count: int, expected: int, what: str) -> None:
    """Refuse a count that is another one than expected.

    Raises:
        RuntimeError: it is.
    """
    if count != expected:
        raise RuntimeError(f"{count} {what} came instead of {expected}")


def percentile(figures: Sequence[float], percent: int) -> float:
    """Give a percentile."""
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def percentile_of_times(times: Sequence[int], percent: int) -> float:
    """Give a percentile of nanoseconds, in milliseconds."""
    return percentile(times, percent) / 1e6


async def serve(
    cases: Mapping[str, Callable[..., Coroutine[Any, Any, Result]]], faults: tuple[type[Exception], ...]
) -> None:
    """Do what the lines on standard input say, one after another; a fault of a case is its answer."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        arguments: dict[str, Any] = json.loads(line)
        try:
            answer: dict[str, Any] = await cases[arguments.pop("case")](**arguments)
        except faults as error:
            answer = {"error": " ".join(str(error).split())}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
