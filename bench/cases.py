"""What is measured: each case with its sizes, its unit, and what its processor time is counted by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        name: for the command line.
        call: the client's name of the calls.
        sizes: what the client is told.
        title: for tables.
        unit: of the value; more is better unless it is a time.
        work: what processor time is given for one of.
    """

    name: str
    call: str
    sizes: Mapping[str, float]
    title: str
    unit: str
    work: str

    @property
    def is_delay(self) -> bool:
        """Tell whether the value is a time, of which what a proxy adds is of interest."""
        return self.unit == "ms"


def cases(*, quick: bool = False) -> list[Case]:
    """Give all cases; the quick ones show that everything works and measure nothing."""
    mebibytes, messages, seconds, calls, many = (16, 200, 1, 50, 200) if quick else (256, 1000, 4, 1000, 1000)
    return [
        Case("up", "up", {"mebibytes": mebibytes}, f"{mebibytes} MiB up, 1 MiB chunks", "MiB/s", "GiB"),
        Case("down", "down", {"mebibytes": mebibytes}, f"{mebibytes} MiB down, 1 MiB chunks", "MiB/s", "GiB"),
        Case(
            "flat-out",
            "flat-out",
            {"streams": 32, "count": messages},
            f"40-byte messages, 32 streams, {messages:,} each, flat out",
            "messages/s",
            "message",
        ),
        Case(
            "paced",
            "paced",
            {"streams": 32, "rate": 50, "seconds": seconds},
            "40-byte messages, 32 streams at 50 a second",
            "ms",
            "message",
        ),
        Case(
            "unary",
            "unary",
            {"count": calls},
            f"{calls:,} unary calls with deadline, traceparent and token",
            "ms",
            "call",
        ),
        Case(
            "streams",
            "paced",
            {"streams": many, "rate": 5, "seconds": seconds + 2, "channels": 4},
            f"40-byte messages, {many:,} streams on 4 connections at 5 a second",
            "ms",
            "message",
        ),
    ]
