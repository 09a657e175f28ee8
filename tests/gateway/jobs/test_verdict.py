from __future__ import annotations

import pytest

from automarket.errors import (
    BudgetExhausted,
    ContentRefused,
    OptionInvalid,
    OutcomeUnknown,
    ProviderBusy,
    ProviderLost,
    RateLimited,
    VendorOverloaded,
)
from gateway.control.jobs.store import Stage
from gateway.control.jobs.verdict import Manner, judge

RESUMABLE, HARMLESS, PAID = Manner(True, False), Manner(False, True), Manner(False, False)


def _judge(error, manner, **facts):
    facts = {"lost": False, "was_taken": True, "stage": Stage.ASKED, "checkpoint": b"", **facts}
    return judge(error, manner, **facts)


@pytest.mark.parametrize("checkpoint", [b"", b"some"])
def test_what_is_lost_goes_on_where_it_can(checkpoint):
    for manner in (RESUMABLE, HARMLESS):
        verdict = _judge(ProviderLost("gone"), manner, lost=True, stage=Stage.ACCEPTED, checkpoint=checkpoint)
        assert verdict.again


def test_what_may_have_been_paid_for_and_cannot_go_on_has_an_unknown_outcome():
    for stage in (Stage.ASKED, Stage.ACCEPTED):
        verdict = _judge(ProviderLost("gone"), PAID, lost=True, stage=stage)
        assert not verdict.again
        assert isinstance(verdict.error, OutcomeUnknown)
    assert _judge(ProviderLost("gone"), PAID, lost=True, was_taken=False).again


@pytest.mark.parametrize("error", [RateLimited("later"), VendorOverloaded("later"), ProviderBusy("later")])
def test_refusals_that_pass_are_tried_again_before_anything_was_spent(error):
    for manner in (RESUMABLE, HARMLESS, PAID):
        assert _judge(error, manner).again
    assert not _judge(error, PAID, stage=Stage.ACCEPTED).again


def test_with_a_checkpoint_only_what_could_not_get_through_is_tried_again():
    assert _judge(VendorOverloaded("later"), RESUMABLE, checkpoint=b"some").again
    assert not _judge(RateLimited("later"), RESUMABLE, checkpoint=b"some").again


@pytest.mark.parametrize("error", [OptionInvalid("wrong"), ContentRefused("no"), BudgetExhausted("none is left")])
def test_what_would_fail_again_is_not_tried_again(error):
    for manner in (RESUMABLE, HARMLESS, PAID):
        assert not _judge(error, manner).again
