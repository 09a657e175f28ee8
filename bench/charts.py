"""Draw what a run measured as bars, into docs/charts.

tools/bench_peers.sh && .cache/bench-charts/bin/python -m bench.charts docs/charts/bench.json
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.bed import DIRECT
from bench.results import Results
from bench.rounds import proxy_cpu, value
from bench.tables import TITLES

if TYPE_CHECKING:
    from collections.abc import Callable

CHARTS = Path(__file__).resolve().parent.parent / "docs" / "charts"
# One grey that can be read on white and on black, since pages come in both.
INK = "#808890"
COLORS = {"relay": "#2f81f7", "plain": "#d97706", "nginx": "#3f9c5a", "haproxy": "#9b72cf", "envoy": "#d1578b"}
MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture.

    Attributes:
        name: of the files.
        title: above the bars.
        label: of the axis, with its unit.
        groups: cases by name, with what stands below their bars.
        figure: gives the height of the bar of a case and a way.
        mark: where a line goes across, and what it means.
    """

    name: str
    title: str
    label: str
    groups: dict[str, str]
    figure: Callable[[Results, str, str], float]
    mark: tuple[float, str] | None = None


def _throughput(results: Results, case: str, way: str) -> float:
    return results.samples.ratio(case, way, DIRECT, value)


def _cpu(results: Results, case: str, way: str) -> float:
    return results.samples.median(case, way, proxy_cpu)


def _cpu_micro(results: Results, case: str, way: str) -> float:
    return _cpu(results, case, way) * MICRO


def _added_micro(results: Results, case: str, way: str) -> float:
    return results.samples.added(case, way, value) * 1000


BYTES = {"up": "256 MiB up", "down": "256 MiB down"}
PACED = {"paced": "32 streams,\n50 messages a second each", "streams": "1,000 streams,\n5 messages a second each"}

ALL = (
    Chart(
        "throughput",
        "Throughput against direct calls (more is better)",
        "ratio to direct",
        {**BYTES, "flat-out": "40-byte messages,\n32 streams, flat out"},
        _throughput,
        (1, "direct"),
    ),
    Chart("cpu-per-gib", "Processor time of the proxy (less is better)", "CPU seconds per GiB", BYTES, _cpu),
    Chart(
        "cpu-per-message",
        "Processor time of the proxy (less is better)",
        "CPU µs per 40-byte message",
        {"flat-out": "32 streams,\nflat out", **PACED},
        _cpu_micro,
    ),
    Chart(
        "added-latency",
        "What the proxy adds to the median delay (less is better)",
        "added p50 in µs",
        {**PACED, "unary": "unary call"},
        _added_micro,
    ),
)


def draw(chart: Chart, results: Results, pyplot: Any) -> None:
    """Draw one picture as PNG and SVG."""
    figure, axis = pyplot.subplots(figsize=(8, 3.8), layout="constrained")
    ways = [way for way in COLORS if all(way in results.samples.ways(case) for case in chart.groups)]
    width = 0.8 / len(ways)
    for number, way in enumerate(ways):
        heights = [chart.figure(results, case, way) for case in chart.groups]
        places = [group + (number - (len(ways) - 1) / 2) * width for group in range(len(heights))]
        bars = axis.bar(places, heights, width * 0.92, color=COLORS[way], label=TITLES[way])
        axis.bar_label(bars, labels=[_shown(height) for height in heights], color=INK, fontsize=8, padding=2)
    if chart.mark is not None:
        axis.axhline(chart.mark[0], color=INK, linewidth=1, linestyle="--")
    axis.set_xticks(range(len(chart.groups)), chart.groups.values())
    axis.set_ylabel(chart.label, color=INK)
    axis.set_title(chart.title, color=INK, fontsize=11)
    axis.margins(y=0.12)
    axis.grid(axis="y", color=INK, alpha=0.25)
    axis.set_axisbelow(True)
    axis.tick_params(colors=INK)
    axis.set_facecolor("none")
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(INK)
    figure.legend(loc="outside lower center", ncols=len(ways), frameon=False, labelcolor=INK)
    for kind in ("png", "svg"):
        metadata = {"Date": None} if kind == "svg" else {}
        figure.savefig(CHARTS / f"{chart.name}.{kind}", transparent=True, dpi=130, metadata=metadata)
    pyplot.close(figure)


def _shown(height: float) -> str:
    return f"{height:.0f}" if abs(height) >= 100 else f"{height:.1f}" if abs(height) >= 10 else f"{height:.2f}"


def main() -> None:
    """Draw every picture for which there are samples."""
    # matplotlib lives in an environment of its own, where nothing is checked against its types.
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    pyplot.rcParams.update({"svg.hashsalt": "bench", "font.size": 10})
    CHARTS.mkdir(parents=True, exist_ok=True)
    results = Results.load(Path(sys.argv[1]))
    for chart in ALL:
        if all(results.samples.ways(case) for case in chart.groups):
            draw(chart, results, pyplot)


if __name__ == "__main__":
    main()
