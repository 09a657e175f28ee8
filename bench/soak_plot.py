"""Draw what the long mixed load left: a worker's memory and descriptors over time, as docs/charts/soak.png and .svg.

AUTOMARKET_SOAK_SECONDS=900 .venv/bin/python -m pytest -m soak -s tests/soak
tools/bench_peers.sh && .cache/bench-charts/bin/python -m bench.soak_plot
"""

from __future__ import annotations

import csv
import importlib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / ".cache" / "soak" / "worker.csv"
CHARTS = ROOT / "docs" / "charts"
# One grey that can be read on white and on black, since pages come in both.
INK = "#808890"
MEMORY, DESCRIPTORS = "#2f81f7", "#d97706"


def read(path: Path) -> dict[str, list[float]]:
    """Give the columns of the samples by their names."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def draw(samples: dict[str, list[float]], folder: Path) -> None:
    """Draw memory above descriptors over minutes."""
    # matplotlib lives in an environment of its own, where nothing is checked against its types.
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    pyplot.rcParams.update({"svg.hashsalt": "soak", "font.size": 10})
    figure, axes = pyplot.subplots(2, 1, sharex=True, figsize=(8, 4.6), layout="constrained")
    minutes = [seconds / 60 for seconds in samples["seconds"]]
    rows = (("memory_mib", "resident memory in MiB", MEMORY), ("descriptors", "open descriptors", DESCRIPTORS))
    for axis, (name, label, color) in zip(axes, rows, strict=True):
        axis.plot(minutes, samples[name], color=color, linewidth=1)
        axis.set_ylabel(label, color=INK)
        axis.set_ylim(0, max(samples[name]) * 1.25)
        axis.grid(color=INK, alpha=0.25)
        axis.tick_params(colors=INK)
        axis.set_facecolor("none")
        for side in axis.spines.values():
            side.set_color(INK)
    axes[1].set_xlabel("minutes", color=INK)
    calls = f"{samples['calls'][-1]:,.0f}"
    axes[0].set_title(f"One worker under mixed load for {minutes[-1]:.0f} minutes, {calls} calls", color=INK)
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("png", "svg"):
        metadata = {"Date": None} if kind == "svg" else {}
        figure.savefig(folder / f"soak.{kind}", transparent=True, dpi=130, metadata=metadata)


if __name__ == "__main__":
    draw(read(SAMPLES), CHARTS)
