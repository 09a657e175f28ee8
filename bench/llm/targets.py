"""What has to be reached with language models, and whether it is."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.llm.bed import DIRECT, LITELLM, OURS
from bench.llm.reading import TOGETHER, VENDOR
from bench.llm.rounds import CONVERSATIONS
from bench.rounds import p99, proxy_cpu, value
from bench.serving import percentile
from bench.tables import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.llm.results import Results


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to reach.

    Attributes:
        what: in words.
        figure: what was reached; raises KeyError where it was not measured.
        bound: what must be reached.
        at_most: the bound is an upper one.
        unit: of the figure.
    """

    what: str
    figure: Callable[[Results], float]
    bound: float
    at_most: bool = False
    unit: str = ""

    def row(self, results: Results) -> list[str]:
        """Give its row of the table."""
        bound = f"{'<=' if self.at_most else '>='} {self.bound:g}{self.unit}"
        try:
            figure = self.figure(results)
        except KeyError:
            return [self.what, bound, "not measured", ""]
        met = figure <= self.bound if self.at_most else figure >= self.bound
        shown = f"{figure:,.0f}" if figure >= 100 or figure == 0 else f"{figure:.3g}"
        return [self.what, bound, shown + self.unit, "yes" if met else "**no**"]


def speed(case: str) -> Callable[[Results], float]:
    """Give how many times LiteLLM's tokens a second."""
    return lambda results: results.samples.ratio(case, OURS, LITELLM, value)


def work(case: str) -> Callable[[Results], float]:
    """Give how many times more processor time LiteLLM takes for a token."""
    return lambda results: results.samples.ratio(case, LITELLM, OURS, proxy_cpu)


def added(results: Results) -> float:
    """Give what we add to the time to the first token."""
    return results.samples.added("first", OURS, value)


def added_share(results: Results) -> float:
    """Give how much less that is than what LiteLLM adds."""
    return results.samples.added("first", LITELLM, value) / added(results)


def reading(shape: str) -> Callable[[Results], float]:
    """Give how many times the tokens of OpenAI's SDK our provider reads in the same processor time."""

    def figure(results: Results) -> float:
        pairs = zip(results.reading[shape][OURS], results.reading[shape][VENDOR], strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)

    return figure


def lost(results: Results) -> float:
    """Give how many tokens of the conversations were lost or came out of order."""
    return sum(one.lost + one.reordered for one in results.samples.by_case[CONVERSATIONS][OURS])


def gap(results: Results) -> float:
    """Give the 99th percentile of what was added to gaps between tokens."""
    return results.samples.median(CONVERSATIONS, OURS, p99)


def cancel(results: Results) -> float:
    """Give the 99th percentile of the slowest vendor's cancels."""
    return max(percentile(waits, 99) for waits in results.cancels.values()) if results.cancels else _missing()


def memory(results: Results) -> float:
    """Give the most that gateway and provider held together."""
    return results.memory[OURS]


def _missing() -> float:
    raise KeyError


TARGETS = (
    Target("Tokens a second, one answer, against LiteLLM", speed("one"), 80, unit=" times"),
    Target("Tokens a second, 32 answers, against LiteLLM", speed("many"), 50, unit=" times"),
    Target("Processor time per token, one answer: LiteLLM's against ours", work("one"), 50, unit=" times"),
    Target("Processor time per token, 32 answers: LiteLLM's against ours", work("many"), 50, unit=" times"),
    Target("Time to the first token, added p50", added, 3, at_most=True, unit=" ms"),
    Target("Time to the first token: what LiteLLM adds against what we add", added_share, 4, unit=" times"),
    Target("Tokens read per CPU second, against OpenAI's SDK", reading(TOGETHER), 7, unit=" times"),
    Target("300 conversations at once: tokens lost or out of order", lost, 0, at_most=True),
    Target("300 conversations at once: added gap p99", gap, 60, at_most=True, unit=" ms"),
    Target("300 conversations at once: memory of gateway and provider", memory, 300, at_most=True, unit=" MiB"),
    Target("From a cancel to the vendor's connection closed: p99, slowest one", cancel, 100, at_most=True, unit=" ms"),
)


def targets_table(results: Results) -> str:
    """Give every target, what was reached, and whether that is enough."""
    return table(["what", "target", "measured", "met"], [one.row(results) for one in TARGETS])


__all__ = ["DIRECT", "TARGETS", "Target", "targets_table"]
