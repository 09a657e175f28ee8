"""The results as Markdown, and writing them into docs/benchmarks.md."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from bench import page
from bench.llm.bed import DIRECT, LITELLM, OURS
from bench.llm.cases import cases, conversations
from bench.llm.rounds import CONVERSATIONS
from bench.llm.targets import reading, targets_table
from bench.rounds import p99, proxy_cpu, value
from bench.serving import percentile
from bench.tables import MILLION, table

if TYPE_CHECKING:
    from bench.llm.cases import Case
    from bench.llm.results import Results

MARKS = ("<!-- llm: begin -->", "<!-- llm: end -->")
TITLES = {DIRECT: "direct HTTP", OURS: "gateway and provider", LITELLM: "LiteLLM's proxy"}


def text(results: Results) -> str:
    """Give everything that a run measured."""
    parts = [_head(results)]
    if not results.quick:
        parts.append(targets_table(results))
    parts += [_case(results, case) for case in cases(quick=results.quick) if results.samples.ways(case.name)]
    if results.samples.ways(CONVERSATIONS):
        parts.append(_conversations(results))
    if results.reading:
        parts.append(_reading(results))
    if results.cancels:
        parts.append(_cancels(results))
    return "\n\n".join(parts)


def write(results: Results) -> None:
    """Put the text between the page's marks."""
    page.put(text(results), *MARKS)


def _head(results: Results) -> str:
    machine = results.machine
    versions = ", ".join(f"{name} {release}" for name, release in machine.versions.items())
    lines = [f"{results.rounds} rounds on {machine.text}. {versions}."]
    if machine.load > page.QUIET:
        lines.append(f"**Other work disturbed this run: the load was {machine.load:.1f} before it began.**")
    return "\n".join([*lines, *(f"**Not measured: {missing}.**" for missing in machine.missing)])


def _case(results: Results, case: Case) -> str:
    samples = results.samples
    is_delay = case.unit == "ms"
    figures = ["p50", "added p50", "p99"] if is_delay else [case.unit, "against LiteLLM"]
    rows: list[list[str]] = []
    for way in (one for one in TITLES if one in samples.ways(case.name)):
        middle = samples.median(case.name, way, value)
        if is_delay:
            plus = "" if way == DIRECT else f"+{samples.added(case.name, way, value):.2f} ms"
            cells = [f"{middle:.2f} ms", plus, f"{samples.median(case.name, way, p99):.2f} ms"]
        else:
            has_other = LITELLM in samples.ways(case.name)
            share = f"{samples.ratio(case.name, way, LITELLM, value):,.0f}" if has_other else ""
            cells = [f"{middle:,.0f}", share]
        cpu = "" if way == DIRECT else f"{samples.median(case.name, way, proxy_cpu) * MILLION:,.1f}"
        rows.append([TITLES[way], *cells, cpu])
    return f"### {case.title}\n\n{table(['way', *figures, f'CPU µs per {case.work}'], rows)}"


def _conversations(results: Results) -> str:
    samples, sizes = results.samples, conversations(quick=results.quick)
    rows = [
        [
            TITLES[way],
            str(sum(one.lost + one.reordered for one in samples.by_case[CONVERSATIONS][way])),
            f"{samples.median(CONVERSATIONS, way, p99):.1f} ms",
            "" if way == DIRECT else f"{samples.median(CONVERSATIONS, way, proxy_cpu) * MILLION:,.0f}",
            f"{results.memory[way]:.0f} MiB" if way in results.memory else "",
        ]
        for way in samples.ways(CONVERSATIONS)
    ]
    head = ["way", "lost or out of order", "added gap p99", "CPU µs per token", "memory"]
    title = f"{sizes['streams']:,.0f} conversations at once, {sizes['rate']:,.0f} tokens a second each"
    return f"### {title}\n\n{table(head, rows)}"


def _reading(results: Results) -> str:
    rows = [
        [
            shape,
            *(f"{statistics.median(figures):,.0f}" for figures in by_reader.values()),
            f"{reading(shape)(results):.1f}",
        ]
        for shape, by_reader in results.reading.items()
    ]
    head = ["", "our provider", "OpenAI's SDK", "times"]
    return f"### From the socket to events, tokens per CPU second\n\n{table(head, rows)}"


def _cancels(results: Results) -> str:
    rows = [
        [vendor, *(f"{percentile(waits, percent):.1f} ms" for percent in (50, 99)), f"{max(waits):.1f} ms"]
        for vendor, waits in results.cancels.items()
    ]
    count = len(next(iter(results.cancels.values())))
    title = f"From a cancel to the vendor's connection closed, {count} times each"
    return f"### {title}\n\n{table(['vendor', 'p50', 'p99', 'longest'], rows)}"
