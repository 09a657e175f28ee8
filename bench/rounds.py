"""Running cases round by round: in each round every way is taken in turn, so that all see the same weather."""

from __future__ import annotations

import gc
import statistics
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from bench.bed import DIRECT
from bench.processes import cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.bed import Bed
    from bench.cases import Case


class Named(Protocol):
    """A case, of whatever kind."""

    @property
    def name(self) -> str:
        """What its samples are kept under."""
        ...


CaseT = TypeVar("CaseT", bound=Named)


@dataclass(frozen=True, slots=True)
class Sample:
    """One case over one way, once.

    Attributes:
        value: the figure, in the case's unit.
        work: how much was moved: GiB, messages or calls.
        proxy_cpu: seconds of processor time that the proxy's processes took.
        client_cpu, peer_cpu: likewise of the two ends.
        p99: 99th percentile in ms, of delays.
        lost, reordered: messages that did not come, or came out of order.
    """

    value: float
    work: float
    proxy_cpu: float
    client_cpu: float
    peer_cpu: float
    p99: float = 0.0
    lost: int = 0
    reordered: int = 0


def value(sample: Sample) -> float:
    """Give the figure of a sample."""
    return sample.value


def p99(sample: Sample) -> float:
    """Give the 99th percentile of a sample's delays."""
    return sample.p99


def proxy_cpu(sample: Sample) -> float:
    """Give the processor time of the proxy for one of what was moved."""
    return sample.proxy_cpu / sample.work


@dataclass(slots=True)
class Samples:
    """All samples of a run, by case and way, one a round."""

    by_case: dict[str, dict[str, list[Sample]]] = field(default_factory=dict[str, dict[str, list[Sample]]])

    def add(self, case: str, way: str, sample: Sample) -> None:
        """Note a sample."""
        self.by_case.setdefault(case, {}).setdefault(way, []).append(sample)

    def ways(self, case: str) -> list[str]:
        """Give the ways that a case was measured over."""
        return list(self.by_case.get(case, {}))

    def median(self, case: str, way: str, of: Callable[[Sample], float]) -> float:
        """Give the median of something over the rounds."""
        return statistics.median(map(of, self.by_case[case][way]))

    def ratio(self, case: str, way: str, to: str, of: Callable[[Sample], float]) -> float:
        """Give the median, over the rounds, of the ratio between two ways in the same round."""
        pairs = zip(self.by_case[case][way], self.by_case[case][to], strict=True)
        return statistics.median(of(one) / of(other) for one, other in pairs if of(other))

    def added(self, case: str, way: str, of: Callable[[Sample], float]) -> float:
        """Give the median, over the rounds, of what a way adds to direct calls in the same round."""
        pairs = zip(self.by_case[case][way], self.by_case[case][DIRECT], strict=True)
        return statistics.median(of(one) - of(direct) for one, direct in pairs)

    def to_json(self) -> dict[str, Any]:
        """Give plain dicts and lists."""
        return {
            case: {way: [asdict(sample) for sample in samples] for way, samples in ways.items()}
            for case, ways in self.by_case.items()
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Samples:
        """Take what `to_json` gave."""
        return cls(
            {
                case: {way: [Sample(**sample) for sample in samples] for way, samples in ways.items()}
                for case, ways in raw.items()
            }
        )


def run(bed: Bed, cases: Sequence[Case], rounds: int, report: Callable[[str], None]) -> Samples:
    """Measure; a first round warms everything up and does not count."""
    return in_turn(list(bed.addresses), cases, rounds, report, lambda case, way: measure(bed, case, way))


def in_turn(
    ways: list[str],
    cases: Sequence[CaseT],
    rounds: int,
    report: Callable[[str], None],
    measured: Callable[[CaseT, str], Sample],
) -> Samples:
    """Measure every case over every way, round by round; a first round warms everything up and does not count."""
    samples = Samples()
    for number in range(rounds + 1 if cases else 0):
        ways = ways[1:] + ways[:1]  # nobody always comes first
        for case in cases:
            for way in ways:
                sample = measured(case, way)
                if number:
                    samples.add(case.name, way, sample)
        report(f"round {number} of {rounds}" if number else "warmed up")
    return samples


def measure(bed: Bed, case: Case, way: str) -> Sample:
    """Measure one case over one way."""
    gc.collect()
    proxy = bed.proxies.get(way)
    watched = [bed.client.pid, bed.peer.pid, *([proxy.pid] if proxy else [])]
    before = [cpu_seconds(pid) for pid in watched]
    result = bed.client.call(case.call, bed.addresses[way], **case.sizes)
    used = [cpu_seconds(pid) - start for pid, start in zip(watched, before, strict=True)]
    client_cpu, peer_cpu, proxy_cpu = (*used, 0.0)[:3]
    return Sample(proxy_cpu=proxy_cpu, client_cpu=client_cpu, peer_cpu=peer_cpu, **_known(result))


def _known(result: dict[str, float]) -> dict[str, Any]:
    return {name: result[name] for name in ("value", "work", "p99", "lost", "reordered") if name in result}
