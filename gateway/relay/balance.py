"""What the relay itself has seen of each instance: calls under way, how fast it answers, whether it answers at all.

An instance that fails again and again is ejected: it gets no calls for a second, for twice as long each time it does so
again, for a minute at most. Then one call is let through; an answer to that re-admits it.

A vendor's model that asked to be left alone for a while gets no calls meanwhile, as long as there are others.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from gateway.relay.window import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

HALF_LIFE_SECONDS: Final = 10.0
MOST_FAILURES: Final = 5
WINDOW_SECONDS: Final = 10.0
FEWEST_CALLS: Final = 20
SHORTEST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 60.0
# Being well for so long takes back one doubling.
WELL_SECONDS: Final = 10.0

_MOST_DOUBLINGS: Final = 6
_SHORTEST_LATENCY: Final = 1e-6
_NOBODY: Final = frozenset[str]()
_NOTHING: Final = frozenset[tuple[str, str]]()


class Standing:
    """What is known of one instance.

    Attributes:
        outstanding: calls under way.
        last_begun: the turn at which it got a call last.
        latency: seconds to the first answer as a moving average, 0 when unknown.
        fading: the binary logarithm of the latency, and the half-lives until it was measured.
        measured_at: when the latency was measured last.
        failures: failures since the last answer.
        is_tried: a call has been sent there since the ejection.
        well_since: when it was re-admitted.
    """

    __slots__ = (
        "ejections",
        "fading",
        "failures",
        "is_tried",
        "last_begun",
        "latency",
        "measured_at",
        "out_until",
        "outcomes",
        "outstanding",
        "well_since",
    )

    def __init__(self) -> None:
        self.outstanding = 0
        self.last_begun = 0
        self.latency = 0.0
        self.fading = -math.inf
        self.measured_at = 0.0
        self.failures = 0
        self.outcomes = Window(WINDOW_SECONDS)
        self.ejections = 0
        self.out_until = 0.0
        self.is_tried = False
        self.well_since = 0.0

    def measure(self, seconds: float, now: float) -> None:
        """Take a time to the first answer; how much it counts depends on how long ago the last one was."""
        old = 0.5 ** (max(0.0, now - self.measured_at) / HALF_LIFE_SECONDS) if self.latency else 0.0
        self.latency = self.latency * old + max(_SHORTEST_LATENCY, seconds) * (1 - old)
        self.fading = math.log2(self.latency) + half_lives(now)
        self.measured_at = now

    def is_ill(self, now: float) -> bool:
        """Tell whether it has failed too often."""
        if self.failures >= MOST_FAILURES:
            return True
        calls, failed = self.outcomes.totals(now)
        return calls >= FEWEST_CALLS and failed * 2 >= calls

    def forgive(self, now: float) -> None:
        """Take back doublings for the time that it was well."""
        self.ejections = max(0, self.ejections - int((now - self.well_since) / WELL_SECONDS))

    def eject(self, now: float) -> None:
        """Give it no calls for a time, longer each time."""
        self.out_until = now + min(LONGEST_SECONDS, SHORTEST_SECONDS * 2**self.ejections)
        self.ejections = min(_MOST_DOUBLINGS, self.ejections + 1)
        self.is_tried = False


def half_lives(now: float) -> float:
    """Give a time in half-lives. A latency's `fading` less this is the logarithm of what is left of it.

    It fades while nothing new comes, so that an instance that was slow once is tried again.
    """
    return now / HALF_LIFE_SECONDS


class Balance:
    """Counts calls and their outcomes by instance. Times are monotonic seconds.

    Attributes:
        standings: what is known, by instance id.
    """

    def __init__(self) -> None:
        self.standings: dict[str, Standing] = {}
        self._out: dict[str, Standing] = {}  # in the order in which they were ejected
        self._resting: dict[tuple[str, str], float] = {}
        self._begun = 0

    def begin(self, instance_id: str) -> None:
        """Note that a call goes to an instance."""
        standing = self.standings.get(instance_id)
        if standing is None:
            standing = self.standings[instance_id] = Standing()
        self._begun += 1
        standing.last_begun = self._begun
        standing.outstanding += 1
        standing.is_tried = True

    def end(self, instance_id: str, *, now: float, seconds: float | None, failed: bool) -> None:
        """Note that a call to an instance is over.

        Args:
            instance_id: the instance.
            now: the time.
            seconds: time to the first answer, None when none came.
            failed: the instance could not be reached, was lost, or said that it is unavailable. A call without an
                answer that did not fail, such as one that its caller gave up, says nothing about the instance.
        """
        standing = self.standings.get(instance_id)
        if standing is None:
            return
        standing.outstanding = max(0, standing.outstanding - 1)
        if seconds is not None:
            standing.measure(seconds, now)
        if failed:
            self._failed(instance_id, standing, now)
        elif seconds is not None:
            self._answered(instance_id, standing, now)
        elif instance_id in self._out:
            standing.is_tried = False

    def _failed(self, instance_id: str, standing: Standing, now: float) -> None:
        standing.failures += 1
        standing.outcomes.add(now, 1, 1)
        if instance_id in self._out:
            if standing.is_tried:
                standing.eject(now)
        elif standing.is_ill(now):
            standing.forgive(now)
            standing.eject(now)
            self._out[instance_id] = standing

    def _answered(self, instance_id: str, standing: Standing, now: float) -> None:
        standing.failures = 0
        standing.outcomes.add(now, 1, 0)
        if instance_id in self._out and standing.is_tried:
            del self._out[instance_id]
            standing.well_since = now
            standing.outcomes.clear()

    def outstanding(self, instance_id: str) -> int:
        """Give the number of calls under way at an instance."""
        standing = self.standings.get(instance_id)
        return standing.outstanding if standing is not None else 0

    def latency(self, instance_id: str) -> float:
        """Give the seconds to the first answer as a moving average, 0 when unknown."""
        standing = self.standings.get(instance_id)
        return standing.latency if standing is not None else 0.0

    def ejected(self, now: float) -> frozenset[str]:
        """Give the instances that are to get no call now."""
        if not self._out:
            return _NOBODY
        return frozenset(one for one, standing in self._out.items() if standing.is_tried or now < standing.out_until)

    def passed_over(self, instance_ids: Sequence[str], ejected: frozenset[str]) -> frozenset[str]:
        """Give those of a provider's instances that get no calls: the ejected ones, but never more than half of all.

        When nearly all fail, the fault is most likely not theirs. Those that were ejected first stay out.
        """
        ours = [one for one in self._out if one in ejected and one in instance_ids]
        return frozenset(ours[: len(instance_ids) // 2])

    def rest(self, provider_id: str, model_id: str, until: float) -> None:
        """Note that a provider wants no calls for one of its models until then."""
        self._resting[provider_id, model_id] = until

    def resting(self, now: float) -> frozenset[tuple[str, str]]:
        """Give providers and models that want no calls now."""
        if not self._resting:
            return _NOTHING
        self._resting = {one: until for one, until in self._resting.items() if now < until}
        return frozenset(self._resting)

    def forget(self, keep: set[str]) -> None:
        """Forget instances that are not to be kept, when they have no calls left."""
        for gone in [one for one, standing in self.standings.items() if one not in keep and not standing.outstanding]:
            del self.standings[gone]
            self._out.pop(gone, None)
