"""Jobs, estimates and usage as a program sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from automarket.client.events import OutputFinished, Progress, Usage
    from automarket.errors import AutoMarketError


class JobState(StrEnum):
    """Where a job is."""

    UNKNOWN = "unknown"  # a newer mesh's state
    QUEUED = "queued"  # it waits for its turn
    RUNNING = "running"  # a provider works on it, or it waits in the vendor's own line
    CANCELLING = "cancelling"  # its end was asked for and is not settled yet
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    CANCELLED_LOCALLY = "cancelled_locally"  # the vendor has no cancel: the charge stands

    @property
    def has_ended(self) -> bool:
        """Whether the job stays so."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.CANCELLED_LOCALLY)


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a call is expected to cost.

    Attributes:
        cost: in `currency` (ISO 4217); None when nobody knows.
        unit: what is counted: "image", "second", "call".
        units: how many are expected.
        source: where the price comes from: "vendor" (asked of it), "table" (known beforehand); empty when unknown.
        at_least: the call may come out more expensive, because how much it makes is not known beforehand.
        provider_id, model_id: who was asked; empty in a job, which names them itself.
    """

    cost: float | None = None
    currency: str = ""
    unit: str = ""
    units: float = 0.0
    source: str = ""
    at_least: bool = False
    provider_id: str = ""
    model_id: str = ""


@dataclass(frozen=True, slots=True)
class JobInfo:
    """A job as it was when it was asked for.

    Attributes:
        id: the request_id that it was created with.
        state: where it is.
        capability: what it was asked for as; empty when only a model was named.
        provider_id, model_id: who works on it; empty before anybody does.
        priority: jobs of higher priority are begun first.
        labels: words of whoever created it.
        created, started, ended: moments in UTC.
        queue_position: how many jobs of this mesh are before it; None when it does not wait.
        progress: its last sign of progress.
        last_sequence: number of its last event.
        outputs: what it has made so far; media are in the asset store.
        usage: what it used and what that cost.
        estimate: what it was expected to cost; None when nobody was asked.
        error: what it ended with; None when it succeeded or goes on.
        attempts: how often a provider was asked to work on it, resumptions included.
        retry_of: the job that it repeats; empty when it repeats none.
    """

    id: str
    state: JobState
    capability: str = ""
    provider_id: str = ""
    model_id: str = ""
    priority: int = 0
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    created: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    queue_position: int | None = None
    progress: Progress | None = None
    last_sequence: int = 0
    outputs: tuple[OutputFinished, ...] = ()
    usage: tuple[Usage, ...] = ()
    estimate: CostEstimate | None = None
    error: AutoMarketError | None = None
    attempts: int = 0
    retry_of: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether it has come to its end."""
        return self.state.has_ended

    @property
    def cost(self) -> float | None:
        """What it cost so far, in the currency of its usage; None when nobody knows."""
        known = [one.cost for one in self.usage if one.cost is not None]
        return sum(known) if known else None


class UsageBy(StrEnum):
    """What usage is added up by; days are those of UTC."""

    PROVIDER = "provider"
    MODEL = "model"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class UsageSum:
    """Usage of one group in one unit; the fields that it is not grouped by are empty.

    Attributes:
        cost: in `currency`, as far as it is known; `unpriced_count` of the `call_count` calls have no known cost.
    """

    provider_id: str
    model_id: str
    day: str
    call_count: int
    unit: str
    input_units: float
    output_units: float
    cost: float
    currency: str
    unpriced_count: int


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """A budget and what is left of it.

    Attributes:
        provider_id: the provider that it binds; empty is the whole mesh.
        limit, spent, reserved: in `currency`; what is reserved may still be spent by calls under way.
        period: "day" or "month" in UTC, or "total".
        ends: when the present period ends; None for "total".
    """

    provider_id: str
    limit: float
    spent: float
    reserved: float
    currency: str
    period: str
    ends: datetime | None = None

    @property
    def left(self) -> float:
        """What may still be spent."""
        return max(0.0, self.limit - self.spent - self.reserved)


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What was used, and what is left of the budgets."""

    sums: tuple[UsageSum, ...]
    budgets: tuple[BudgetStatus, ...]
