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

from bench import digest, memory, page, rounds
from bench.bed import Transport, running
from bench.cases import cases
from bench.processes import ROOT, peak_mebibytes
from bench.proxies import ALL, PLAIN, RELAY, Missing
from bench.results import Machine, Results
from bench.rounds import Samples

if TYPE_CHECKING:
    from bench.proxies import Proxy

LAST = ROOT / ".cache" / "bench.json"
MEMORY, DIGEST = "memory", "digest"
PARTS = (*(case.name for case in cases()), MEMORY, DIGEST)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--proxies",
        default=f"{RELAY.name},{PLAIN.name}",
        help=f"of {', '.join(proxy.name for proxy in ALL)}; or all: those that are installed",
    )
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--front", choices=("tcp", "unix"), default="tcp", help="from the client to the proxies")
    parser.add_argument("--back", choices=("tcp", "unix"), default="unix", help="from the proxies to the peer")
    parser.add_argument("--large", action="store_true", help="memory with an asset of 8 GiB, too")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, measures nothing")
    parser.add_argument("--save", type=Path, default=LAST, help="where the samples go")
    parser.add_argument("--page", action="store_true", help="write docs/benchmarks.md")
    return parser.parse_args()


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


def measure(wanted: argparse.Namespace, proxies: dict[Proxy, str], missing: list[str]) -> Results:
    """Run everything that is wanted."""
    parts = wanted.only.split(",")
    chosen = [case for case in cases(quick=wanted.quick) if case.name in parts]
    transport = Transport(front_tcp=wanted.front == "tcp", back_tcp=wanted.back == "tcp")
    text = f"{os.cpu_count()} cores, Python {platform.python_version()}, grpcio {version('grpcio')}"
    versions = {proxy.name: release for proxy, release in proxies.items()}
    machine = Machine(text, str(transport), versions, missing, os.getloadavg()[0])
    results = Results(machine, wanted.rounds, wanted.quick, Samples())
    if chosen or MEMORY in parts:
        with running(list(proxies) if chosen else [], transport) as bed:
            results.samples.by_case |= rounds.run(bed, chosen, wanted.rounds, say).by_case
            results.peaks.update({name: peak_mebibytes(process.pid) for name, process in bed.proxies.items()})
            if MEMORY in parts:
                sizes = memory.QUICK if wanted.quick else memory.SIZES + (memory.LARGE if wanted.large else ())
                results.assets.update(memory.measure(bed, sizes, say))
    if DIGEST in parts:
        results.digest.update(digest.measure(16 if wanted.quick else 256, wanted.rounds, say))
    return results


def say(text: str) -> None:
    """Tell how far it is, beside the results."""
    sys.stderr.write(text + "\n")


def main() -> int:
    """Measure, print the tables, save the samples, and write the page when that is wanted."""
    wanted = arguments()
    if unknown := set(wanted.only.split(",")) - set(PARTS):
        say(f"there is no {', '.join(unknown)}; there are {', '.join(PARTS)}")
        return 2
    try:
        proxies, missing = chosen_proxies(wanted.proxies)
    except Missing as fault:
        say(str(fault))
        return 2
    for text in missing:
        say(text)
    results = measure(wanted, proxies, missing)
    results.save(wanted.save)
    print(page.text(results))
    if wanted.page:
        page.write(results)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
