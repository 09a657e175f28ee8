"""Measure direct calls against calls through the gateway and write the table into docs/benchmarks.md.

Direct and through-gateway rounds alternate, and what is given is the median of the ratios of neighbouring rounds: the
absolute figures of a shared machine vary, their ratio hardly does.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bench.load import Load
from bench.processes import Setup, running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure."""

    title: str
    unit: str
    measure: Callable[[Load], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Row:
    """What came out of one case."""

    case: Case
    direct: float
    gateway: float
    ratio: float
    cpu_seconds: float


def cases(mebibytes: int, tokens: int, calls: int) -> list[Case]:
    """Give the cases at the wanted sizes."""
    return [
        Case(f"{mebibytes} MiB up, 1 MiB chunks", "MiB/s", lambda load: load.upload(mebibytes)),
        Case(f"{mebibytes} MiB down, 1 MiB chunks", "MiB/s", lambda load: load.download(mebibytes)),
        Case(f"{tokens:,} messages of 40 bytes, one stream", "messages/s", lambda load: load.tokens(tokens)),
        Case(f"{calls:,} unary calls, p50", "ms", lambda load: load.unary(calls)),
    ]


async def run_case(case: Case, setup: Setup, rounds: int) -> Row:
    """Measure one case, direct and through the gateway in turn."""
    direct, gateway = Load(setup.direct), Load(setup.gateway)
    pairs: list[tuple[float, float]] = []
    cpu = 0.0
    try:
        for number in range(rounds + 1):
            pair = await case.measure(direct), 0.0
            before = setup.cpu_seconds()
            pair = pair[0], await case.measure(gateway)
            if number:  # the first round warms up
                pairs.append(pair)
                cpu += setup.cpu_seconds() - before
    finally:
        await direct.close()
        await gateway.close()
    ratio = statistics.median(through / straight for straight, through in pairs)
    straight, through = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Row(case, straight, through, ratio, cpu / rounds)


async def wait_until_routed(setup: Setup) -> None:
    """Wait until the gateway knows the peer."""
    load = Load(setup.gateway)
    for attempt in range(100):
        try:
            await load.unary(1)
            break
        except Exception:
            if attempt == 99:
                raise
            await asyncio.sleep(0.1)
    await load.close()


def table(rows: list[Row], peak: float, rounds: int) -> str:
    """Give the table as Markdown."""
    lines = [
        f"{rounds} rounds, {os.cpu_count()} cores, Python {platform.python_version()}, grpcio {version('grpcio')}. "
        f"Peak memory of the gateway process: {peak:.0f} MiB.",
        "",
        "| what | direct | through the gateway | ratio | gateway CPU a round |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        figures = f"{row.direct:,.3g} {row.case.unit} | {row.gateway:,.3g} {row.case.unit} | {row.ratio:.2f}"
        if row.direct >= 1000:
            figures = f"{row.direct:,.0f} {row.case.unit} | {row.gateway:,.0f} {row.case.unit} | {row.ratio:.2f}"
        lines.append(f"| {row.case.title} | {figures} | {row.cpu_seconds:.2f} s |")
    return "\n".join(lines)


async def measure(rounds: int, chosen: list[Case]) -> str:
    """Run all cases and give the table."""
    with running() as setup:
        await wait_until_routed(setup)
        rows = [await run_case(case, setup, rounds) for case in chosen]
        return table(rows, setup.peak_mebibytes(), rounds)


def main() -> None:
    """Measure, print the table, and write it into the page unless --dry-run says not to."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, measures nothing")
    parser.add_argument("--dry-run", action="store_true", help="leave docs/benchmarks.md as it is")
    arguments = parser.parse_args()
    chosen = cases(16, 2_000, 50) if arguments.quick else cases(256, 20_000, 1_000)
    text = asyncio.run(measure(arguments.rounds, chosen))
    sys.stdout.write(text + "\n")
    if not arguments.dry_run:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
