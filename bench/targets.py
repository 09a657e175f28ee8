"""What the gateway has to reach, and whether it does."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.bed import DIRECT
from bench.proxies import PLAIN, RELAY
from bench.proxies.envoy import ENVOY
from bench.proxies.nginx import NGINX
from bench.rounds import p99, proxy_cpu, value
from bench.tables import TITLES, table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.results import Results

OURS, FORWARDER = RELAY.name, PLAIN.name


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to reach.

    Attributes:
        what: in words.
        needs: the ways, or parts of a run, without which it cannot be told, by the case's name.
        figure: what was reached.
        at_most: the bound is an upper one.
        bound: what must be reached.
        goal: what is wished for beyond that.
    """

    what: str
    needs: tuple[tuple[str, str], ...]
    figure: Callable[[Results], float]
    at_most: bool
    bound: float
    goal: float | None = None
    unit: str = ""

    def met(self, figure: float) -> bool:
        """Tell whether a figure reaches the bound."""
        return figure <= self.bound if self.at_most else figure >= self.bound


def throughput(case: str, what: str, bound: float, goal: float | None = None) -> Target:
    """Our throughput against that of direct calls."""

    def figure(results: Results) -> float:
        return results.samples.ratio(case, OURS, DIRECT, value)

    needs = ((case, OURS), (case, DIRECT))
    return Target(f"{what}, against direct", needs, figure, at_most=False, bound=bound, goal=goal)


def cpu(case: str, other: str, what: str, bound: float, goal: float) -> Target:
    """Our processor time against another proxy's."""

    def figure(results: Results) -> float:
        return results.samples.ratio(case, OURS, other, proxy_cpu)

    needs = ((case, OURS), (case, other))
    return Target(f"{what}, against {TITLES[other]}", needs, figure, at_most=True, bound=bound, goal=goal)


def added_delay(case: str, what: str, bound: float, goal: float | None = None) -> Target:
    """What we add to the median delay against what Envoy adds.

    The ratio is that of the medians: in a single round the difference may come out near nothing.
    """

    def figure(results: Results) -> float:
        return results.samples.added(case, OURS, value) / results.samples.added(case, ENVOY.name, value)

    needs = ((case, OURS), (case, ENVOY.name), (case, DIRECT))
    return Target(f"{what}: added p50, against Envoy", needs, figure, at_most=True, bound=bound, goal=goal)


def faults(results: Results) -> float:
    """Give how many messages were lost or came out of order."""
    return sum(sample.lost + sample.reordered for sample in results.samples.by_case["streams"][OURS])


def digest_gain(results: Results) -> float:
    """Give how many times faster a provider has an input by digest."""
    streamed, named = (results.digest[f"as a file, {way}"] for way in ("streamed", "by digest"))
    return statistics.median(slow / quick for slow, quick in zip(streamed, named, strict=True))


TARGETS = (
    throughput("up", "256 MiB up", 0.65, 0.75),
    throughput("down", "256 MiB down", 0.65, 0.75),
    cpu("up", NGINX.name, "CPU per GiB up", 1.4, 1.0),
    cpu("down", NGINX.name, "CPU per GiB down", 1.4, 1.0),
    cpu("up", ENVOY.name, "CPU per GiB up", 0.75, 0.5),
    cpu("down", ENVOY.name, "CPU per GiB down", 0.75, 0.5),
    Target(
        "Peak memory, the largest asset streamed",
        (("memory", OURS),),
        lambda results: max(results.assets.values()),
        at_most=True,
        bound=45,
        unit=" MiB",
    ),
    Target(
        "Peak memory, difference between the sizes streamed",
        (("memory", OURS),),
        lambda results: max(results.assets.values()) - min(results.assets.values()),
        at_most=True,
        bound=3,
        unit=" MiB",
    ),
    throughput("flat-out", "40-byte messages flat out", 0.85),
    cpu("flat-out", ENVOY.name, "CPU per message flat out", 1.3, 1.0),
    cpu("flat-out", FORWARDER, "CPU per message flat out", 0.20, 0.12),
    cpu("paced", ENVOY.name, "CPU per message, 32 streams at 50 a second", 1.3, 1.0),
    cpu("paced", FORWARDER, "CPU per message, 32 streams at 50 a second", 0.20, 0.12),
    added_delay("paced", "32 streams at 50 a second", 0.6),
    added_delay("unary", "Unary with deadline, traceparent, token", 0.6, 0.4),
    Target(
        "1,000 streams at once: messages lost or reordered",
        (("streams", OURS),),
        faults,
        at_most=True,
        bound=0,
    ),
    Target(
        "1,000 streams at once: added p99",
        (("streams", OURS), ("streams", DIRECT)),
        lambda results: results.samples.added("streams", OURS, p99),
        at_most=True,
        bound=20,
        unit=" ms",
    ),
    Target(
        "256 MiB by digest on the same host, times faster than streamed",
        (("digest", OURS),),
        digest_gain,
        at_most=False,
        bound=100,
    ),
)


def targets_table(results: Results) -> str:
    """Give every target, what was reached, and whether that is enough."""
    return table(["what", "target", "goal", "measured", "met"], [_row(one, results) for one in TARGETS])


def _row(target: Target, results: Results) -> Sequence[str]:
    sign = "<=" if target.at_most else ">="
    goal = "" if target.goal is None else f"{sign} {target.goal:g}{target.unit}"
    head = [target.what, f"{sign} {target.bound:g}{target.unit}", goal]
    absent = [TITLES[way] for case, way in target.needs if not _has(results, case, way)]
    if absent:
        return [*head, f"not measured ({', '.join(absent)})", ""]
    figure = target.figure(results)
    shown = f"{figure:,.0f}" if figure >= 100 or figure == 0 else f"{figure:.2f}"
    return [*head, shown + target.unit, "yes" if target.met(figure) else "**no**"]


def _has(results: Results, case: str, way: str) -> bool:
    parts = {"memory": results.assets, "digest": results.digest}
    return bool(parts[case]) if case in parts else way in results.samples.ways(case)
