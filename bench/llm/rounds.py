"""Running the cases round by round, every way in turn, and the two that have rounds of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.llm.bed import DIRECT, OURS
from bench.processes import cpu_seconds, peak_mebibytes
from bench.rounds import Sample, Samples, in_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.llm.bed import Bed
    from bench.llm.cases import Case

CONVERSATIONS = "conversations"


def run(bed: Bed, cases: Sequence[Case], rounds: int, report: Callable[[str], None]) -> Samples:
    """Measure; a first round warms everything up and does not count."""

    def measured(case: Case, way: str) -> Sample:
        return measure(bed, case.call, way, case.sizes[way])

    return in_turn(list(bed.addresses), cases, rounds, report, measured)


def many(bed: Bed, sizes: Mapping[str, float], rounds: int, report: Callable[[str], None]) -> Samples:
    """Measure many conversations at once, directly and through us; LiteLLM would take minutes."""
    samples = Samples()
    for _ in range(rounds):
        for way in (DIRECT, OURS):
            samples.add(CONVERSATIONS, way, measure(bed, "paced", way, sizes))
        report(f"{sizes['streams']:,.0f} conversations at once")
    return samples


def measure(bed: Bed, call: str, way: str, sizes: Mapping[str, float]) -> Sample:
    """Measure one case over one way."""
    ours = [process.pid for process in bed.watched.get(way, [])]
    watched = [bed.client.pid, bed.upstream.pid, *ours]
    before = [cpu_seconds(pid) for pid in watched]
    result = bed.call(call, way, **sizes)
    client, upstream, *rest = (cpu_seconds(pid) - begin for pid, begin in zip(watched, before, strict=True))
    return Sample(
        value=result["value"],
        work=result["work"],
        proxy_cpu=sum(rest),
        client_cpu=client,
        peer_cpu=upstream,
        p99=result.get("p99", 0.0),
        lost=int(result.get("lost", 0)),
        reordered=int(result.get("reordered", 0)),
    )


def memory(bed: Bed) -> dict[str, float]:
    """Give the most that the processes of each way have held so far, in MiB."""
    return {way: sum(peak_mebibytes(one.pid) for one in processes) for way, processes in bed.watched.items()}
