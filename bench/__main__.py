"""Measure direct calls against calls through our gateway and through other proxies, in one run.

Every round takes every way in turn. What is given is the median, over the rounds, of ratios within a round: the
absolute figures of a shared machine vary, their ratios hardly do.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bench import bed, rounds
from bench.cases import cases
from bench.processes import ROOT, peak_mebibytes
from bench.proxies import ALL, Missing
from bench.results import Machine, Results
from bench.tables import assets_table, case_table, ends_table, peaks_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.cases import Case
    from bench.proxies import Proxy

LAST = ROOT / ".cache" / "bench.json"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = [proxy.name for proxy in ALL]
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--proxies", default="relay,plain", help=f"of {', '.join(names)}; or all: those installed")
    parser.add_argument("--only", help=f"cases, of {', '.join(case.name for case in cases())}")
    parser.add_argument("--tcp", action="store_true", help="TCP on loopback instead of Unix sockets")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, measures nothing")
    parser.add_argument("--save", type=Path, default=LAST, help="where the samples go")
    return parser.parse_args()


def chosen_cases(only: str | None, *, quick: bool) -> list[Case]:
    """Give the cases that were asked for."""
    known = {case.name: case for case in cases(quick=quick)}
    return [known[name] for name in only.split(",")] if only else list(known.values())


def chosen_proxies(names: str) -> tuple[dict[Proxy, str], list[str]]:
    """Give the proxies with their versions, and what is missing.

    Raises:
        Missing: one that was asked for by name is.
    """
    found: dict[Proxy, str] = {}
    missing: list[str] = []
    for proxy in ALL:
        if names == "all" or proxy.name in names.split(","):
            try:
                found[proxy] = proxy.version()
            except Missing as fault:
                if names != "all":
                    raise
                missing.append(str(fault))
    return found, missing


def measure(chosen: Sequence[Case], proxies: dict[Proxy, str], missing: list[str], count: int, *, tcp: bool) -> Results:
    """Run everything."""
    with bed.running(list(proxies), tcp=tcp) as running:
        samples = rounds.run(running, chosen, count, say)
        peaks = {name: peak_mebibytes(process.pid) for name, process in running.proxies.items()}
    text = f"{os.cpu_count()} cores, Python {platform.python_version()}, grpcio {version('grpcio')}"
    machine = Machine(
        text=text,
        transport="TCP on loopback" if tcp else "Unix sockets",
        versions={proxy.name: release for proxy, release in proxies.items()},
        missing=missing,
    )
    return Results(machine, count, samples, peaks)


def say(text: str) -> None:
    """Tell how far it is, beside the results."""
    sys.stderr.write(text + "\n")


def main() -> int:
    """Measure, print the tables, save the samples."""
    wanted = arguments()
    try:
        proxies, missing = chosen_proxies(wanted.proxies)
    except Missing as fault:
        say(str(fault))
        return 2
    for text in missing:
        say(text)
    chosen = chosen_cases(wanted.only, quick=wanted.quick)
    results = measure(chosen, proxies, missing, wanted.rounds, tcp=wanted.tcp)
    for case in chosen:
        print(f"\n{case.title}\n\n{case_table(results, case)}")
    print(f"\n{ends_table(results, chosen)}\n\n{peaks_table(results)}")
    if results.assets:
        print(f"\n{assets_table(results)}")
    results.save(wanted.save)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
