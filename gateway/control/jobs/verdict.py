"""What becomes of a job when a call for it has failed: whether it is tried again, and how it ends otherwise.

The rule behind all of it: nothing that may have been paid for is asked for a second time. A model that is `resumable`
goes on from its last checkpoint; without one nothing was spent, since spending needs a stored checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from automarket.errors import (
    BudgetExhausted,
    ExhaustedError,
    OutcomeUnknown,
    Retry,
    UnavailableError,
)
from gateway.control.jobs.store import Stage

if TYPE_CHECKING:
    from automarket.errors import AutoMarketError


@dataclass(frozen=True, slots=True)
class Manner:
    """How calls of a model may be repeated.

    Attributes:
        resumable: from its last checkpoint.
        harmless: from the beginning: it is run here, bills nothing, or its vendor tells repetitions apart.
    """

    resumable: bool
    harmless: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens next: the job is tried again, or it ends with an error.

    Attributes:
        again: it is tried again.
        error: what it ends with, or why it is tried again.
    """

    again: bool
    error: AutoMarketError


def judge(
    error: AutoMarketError, manner: Manner, *, lost: bool, was_taken: bool, stage: Stage, checkpoint: bytes
) -> Verdict:
    """Say what becomes of a job whose call failed.

    Args:
        error: what it failed with.
        manner: how calls of the model may be repeated.
        lost: the provider is gone; else it said itself what went wrong.
        was_taken: the provider had the call.
        stage: how far the calls of the job got.
        checkpoint: state of the last one that is stored.
    """
    if lost:
        if manner.resumable or manner.harmless or (not was_taken and stage < Stage.ACCEPTED):
            return Verdict(again=True, error=error)
        return Verdict(again=False, error=unknown_outcome(error))
    return Verdict(again=_may_repeat(error, manner, stage, checkpoint), error=error)


def _may_repeat(error: AutoMarketError, manner: Manner, stage: Stage, checkpoint: bytes) -> bool:
    if isinstance(error, BudgetExhausted) or not isinstance(error, UnavailableError | ExhaustedError):
        return False
    if error.metadata.get("retry", error.retry) == Retry.NEVER:
        return False
    if manner.resumable:  # what has a checkpoint goes on from it when its provider could not get through
        return not checkpoint or isinstance(error, UnavailableError)
    return manner.harmless or stage < Stage.ACCEPTED


def unknown_outcome(error: AutoMarketError | None = None) -> OutcomeUnknown:
    """Give what a job ends with that may have been paid for, and cannot go on."""
    metadata = dict(error.metadata) if error is not None else {}
    metadata.pop("retry", None)
    why = error.message if error is not None else "control ended during the call"
    return OutcomeUnknown(
        f"whether the vendor did the work is not known: {why}",
        hint="look at the vendor's own list of requests before you retry the job: it may be billed twice",
        metadata=metadata,
    )
