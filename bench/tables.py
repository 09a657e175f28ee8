"""The results as Markdown tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.bed import DIRECT
from bench.proxies import ALL
from bench.rounds import p99, proxy_cpu, value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.cases import Case
    from bench.results import Results
    from bench.rounds import Samples

TITLES = {DIRECT: "direct", **{proxy.name: proxy.title for proxy in ALL}}
MILLION = 1_000_000


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a table whose first column is text and whose others are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def case_table(results: Results, case: Case) -> str:
    """Give the table of one case."""
    ways = sorted(results.samples.ways(case.name), key=list(TITLES).index)
    figures = ["p50", "added p50", "p99", "added p99"] if case.is_delay else [case.unit, "against direct"]
    cpu = "CPU s per GiB" if case.work == "GiB" else f"CPU µs per {case.work}"
    cells = _delays if case.is_delay else _rates
    rows = [[TITLES[way], *cells(results.samples, case.name, way), _cpu(results, case, way)] for way in ways]
    return table(["way", *figures, cpu], rows)


def _rates(samples: Samples, case: str, way: str) -> list[str]:
    return [f"{samples.median(case, way, value):,.0f}", f"{samples.ratio(case, way, DIRECT, value):.2f}"]


def _delays(samples: Samples, case: str, way: str) -> list[str]:
    cells: list[str] = []
    for figure in (value, p99):
        cells.append(f"{samples.median(case, way, figure):,.3f} ms")
        cells.append(f"{samples.added(case, way, figure):+,.3f} ms" if way != DIRECT else "")
    return cells


def _cpu(results: Results, case: Case, way: str) -> str:
    if way == DIRECT:
        return ""
    cpu = results.samples.median(case.name, way, proxy_cpu)
    return f"{cpu:.2f}" if case.work == "GiB" else f"{cpu * MILLION:.1f}"


def ends_table(results: Results, cases: Sequence[Case]) -> str:
    """Give how busy the client and the peer were on direct calls, so that one sees who was the bottleneck."""
    rows: list[list[str]] = []
    for case in cases:
        if DIRECT in results.samples.ways(case.name):
            client = results.samples.median(case.name, DIRECT, lambda one: one.client_cpu)
            peer = results.samples.median(case.name, DIRECT, lambda one: one.peer_cpu)
            rows.append([case.title, f"{client:.2f} s", f"{peer:.2f} s"])
    return table(["direct calls, a round", "client's CPU", "peer's CPU"], rows)


def peaks_table(results: Results) -> str:
    """Give the most memory that each proxy held in the whole run."""
    rows = [[TITLES[way], f"{peak:.0f}"] for way, peak in results.peaks.items()]
    return table(["proxy", "peak MiB"], rows)


def assets_table(results: Results) -> str:
    """Give the most memory that a fresh gateway process held, by the size of what was streamed."""
    rows = [[f"{size:,} MiB up and down", f"{peak:.1f}"] for size, peak in results.assets.items()]
    return table(["streamed through a new process", "peak MiB"], rows)
