"""Writing the results into docs/benchmarks.md."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from bench.cases import cases
from bench.processes import ROOT
from bench.tables import TITLES, assets_table, case_table, ends_table, peaks_table, table
from bench.targets import targets_table

if TYPE_CHECKING:
    from bench.results import Results

PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


QUIET = 0.7
# Which pictures stand before which case's table.
PICTURES = {
    "up": ("throughput", "cpu-per-gib"),
    "flat-out": ("cpu-per-message",),
    "paced": ("added-latency",),
}


def text(results: Results, *, pictures: bool = False) -> str:
    """Give everything that a run measured as Markdown."""
    measured = [case for case in cases(quick=results.quick) if results.samples.ways(case.name)]
    parts = [_head(results)]
    if len(measured) == len(cases()) and not results.quick:
        parts.append(targets_table(results))
    for case in measured:
        shown = PICTURES.get(case.name, ()) if pictures else ()
        parts.append("\n\n".join([f"### {case.title}", *map(_picture, shown), case_table(results, case)]))
    if measured:
        parts.append(f"### How busy the two ends are\n\n{ends_table(results, measured)}")
    if results.assets:
        parts.append(f"### Memory\n\n{assets_table(results)}")
    if results.peaks:
        parts.append(f"The most that each proxy held in the whole run:\n\n{peaks_table(results)}")
    if results.digest:
        parts.append(f"### An input by digest\n\n{_digest_table(results)}")
    return "\n\n".join(parts)


def write(results: Results) -> None:
    """Put the text between the page's marks."""
    put(text(results, pictures=True), BEGIN, END)


def put(made: str, begin: str, end: str) -> None:
    """Put a text between two marks of the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(begin)
    PAGE.write_text(f"{before}{begin}\n{made}\n{end}{rest.partition(end)[2]}", encoding="utf-8")


def _head(results: Results) -> str:
    machine = results.machine
    versions = ", ".join(f"{TITLES[name]} {release}" for name, release in machine.versions.items())
    lines = [f"{results.rounds} rounds on {machine.text}; {machine.transport}.", f"{versions}."]
    if machine.load > QUIET:
        lines.append(f"**Other work disturbed this run: the load was {machine.load:.1f} before it began.**")
    return "\n".join([*lines, *(f"**Not measured: {missing}.**" for missing in machine.missing)])


def _picture(name: str) -> str:
    return f"[![{name.replace('-', ' ')}](charts/{name}.svg)](charts/{name}.png)"


def _digest_table(results: Results) -> str:
    rows = [[way, f"{statistics.median(seconds) * 1000:,.1f} ms"] for way, seconds in results.digest.items()]
    return table(["256 MiB for a provider, the whole call", "p50"], rows)
