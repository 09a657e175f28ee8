"""Measure language models through our gateway and provider against direct HTTP and against LiteLLM's proxy, in one run.

Every round takes every way in turn. What is given is the median, over the rounds, of ratios within a round.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bench.llm import cancels, litellm, page, reading, rounds
from bench.llm.bed import running
from bench.llm.cases import cases, conversations
from bench.llm.results import Results
from bench.processes import ROOT
from bench.proxies import Missing
from bench.results import Machine

if TYPE_CHECKING:
    from collections.abc import Callable

LAST = ROOT / ".cache" / "bench-llm.json"
READING, CANCELS = "reading", "cancels"
PARTS = (*(case.name for case in cases()), rounds.CONVERSATIONS, READING, CANCELS)
CONVERSATION_ROUNDS = 3


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.llm", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cancels", type=int, default=100, help="at each vendor")
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, measures nothing")
    parser.add_argument("--without-litellm", action="store_true")
    parser.add_argument("--save", type=Path, default=LAST, help="where the samples go")
    parser.add_argument("--page", action="store_true", help="write docs/benchmarks.md")
    return parser.parse_args()


def measure(wanted: argparse.Namespace) -> Results:
    """Run everything that is wanted."""
    parts = wanted.only.split(",")
    load = os.getloadavg()[0]
    missing: list[str] = []
    versions = {"automarket": version("automarket"), "aiohttp": version("aiohttp")}
    has_litellm = not wanted.without_litellm and _find("LiteLLM", litellm.version, versions, missing)
    has_sdk = READING in parts and _find("openai", reading.version, versions, missing)
    text = f"{os.cpu_count()} cores, Python {platform.python_version()}, grpcio {version('grpcio')}"
    results = Results(Machine(text, "", versions, missing, load), wanted.rounds, wanted.quick)
    if CANCELS in parts:
        results.cancels.update(cancels.measure(wanted.cancels, say))
    with running(with_litellm=has_litellm) as bed:
        if rounds.CONVERSATIONS in parts:
            sizes, count = conversations(quick=wanted.quick), min(wanted.rounds, CONVERSATION_ROUNDS)
            results.samples.by_case |= rounds.many(bed, sizes, count, say).by_case
            results.memory.update(rounds.memory(bed))
        chosen = [case for case in cases(quick=wanted.quick) if case.name in parts]
        results.samples.by_case |= rounds.run(bed, chosen, wanted.rounds, say).by_case
        if has_sdk:
            results.reading.update(reading.measure(bed.upstream_url, wanted.rounds, say, quick=wanted.quick))
    return results


def _find(name: str, find: Callable[[], str], versions: dict[str, str], missing: list[str]) -> bool:
    try:
        versions[name] = find()
    except Missing as fault:
        missing.append(str(fault))
        say(str(fault))
        return False
    return True


def say(text: str) -> None:
    """Tell how far it is, beside the results."""
    sys.stderr.write(text + "\n")


def main() -> int:
    """Measure, print the tables, save the samples, and write the page when that is wanted."""
    wanted = arguments()
    if unknown := set(wanted.only.split(",")) - set(PARTS):
        say(f"there is no {', '.join(unknown)}; there are {', '.join(PARTS)}")
        return 2
    results = measure(wanted)
    results.save(wanted.save)
    print(page.text(results))
    if wanted.page:
        page.write(results)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
