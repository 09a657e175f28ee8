from __future__ import annotations

import pytest

from gateway.relay.choice import Route
from gateway.relay.retry import Failure, RetryBudget, may_replay

PLAIN = Route("p", "m", "p-1", "unix:/p")
SAFE = Route("p", "m", "p-1", "unix:/p", replay_safe=True)
VENDOR = Route("p", "m", "p-1", "unix:/p", deduplicates=True)

CONNECT, REFUSED, GOAWAY, LOST = Failure.CONNECT, Failure.REFUSED, Failure.GOAWAY, Failure.LOST
BROKEN, UNAVAILABLE, OTHER = Failure.BROKEN, Failure.UNAVAILABLE, Failure.OTHER


def decide(failure, route, advice="", *, named=False, committed=False, attempts=1):
    return may_replay(failure, route=route, has_request_id=named, committed=committed, attempts=attempts, advice=advice)


@pytest.mark.parametrize("failure", [CONNECT, REFUSED, GOAWAY])
@pytest.mark.parametrize("attempts", [1, 2, 50])
def test_a_call_that_nobody_looked_at_goes_elsewhere_whatever_it_is(failure, attempts):
    assert failure.is_free
    assert decide(failure, PLAIN, attempts=attempts)


@pytest.mark.parametrize("failure", [LOST, BROKEN, UNAVAILABLE, OTHER])
def test_every_other_failure_costs_of_the_budget(failure):
    assert not failure.is_free


@pytest.mark.parametrize("failure", [LOST, UNAVAILABLE])
@pytest.mark.parametrize(
    ("route", "named", "replayed"),
    [(PLAIN, False, False), (PLAIN, True, False), (SAFE, False, True), (VENDOR, False, False), (VENDOR, True, True)],
)
def test_a_call_that_may_have_run_goes_elsewhere_once_where_twice_does_no_harm(failure, route, named, replayed):
    assert decide(failure, route, named=named) == replayed
    assert not decide(failure, route, named=named, attempts=2)


@pytest.mark.parametrize("failure", [BROKEN, OTHER])
@pytest.mark.parametrize("route", [PLAIN, SAFE, VENDOR])
def test_what_would_fail_again_stays(failure, route):
    assert not decide(failure, route, named=True)


@pytest.mark.parametrize("failure", list(Failure))
@pytest.mark.parametrize("advice", ["", "other"])
def test_nothing_goes_elsewhere_after_the_first_data_of_an_answer(failure, advice):
    assert not decide(failure, SAFE, advice, committed=True)


@pytest.mark.parametrize(
    ("failure", "route", "advice", "replayed"),
    [
        (UNAVAILABLE, PLAIN, "other", True),
        (OTHER, PLAIN, "other", True),
        (UNAVAILABLE, SAFE, "never", False),
        (OTHER, SAFE, "never", False),
        (UNAVAILABLE, SAFE, "same", False),
        (OTHER, SAFE, "same", False),
        (UNAVAILABLE, SAFE, "perhaps", True),
        (UNAVAILABLE, PLAIN, "perhaps", False),
        (OTHER, SAFE, "perhaps", False),
    ],
)
def test_what_the_provider_advises_decides(failure, route, advice, replayed):
    assert decide(failure, route, advice) == replayed
    assert not decide(failure, route, advice, attempts=2)


@pytest.mark.parametrize("fallbacks", [0, 1, 3])
def test_a_call_may_go_once_more_for_each_fallback_that_its_caller_names(fallbacks):
    def goes(attempts, advice="other"):
        facts = {"has_request_id": False, "committed": False, "fallbacks": fallbacks}
        return may_replay(UNAVAILABLE, route=PLAIN, attempts=attempts, advice=advice, **facts)

    assert [goes(attempts) for attempts in range(1, 7)] == [attempts <= 1 + fallbacks for attempts in range(1, 7)]
    assert not goes(1, "never")


def test_a_tenth_of_the_calls_may_go_elsewhere_and_a_few_in_any_case():
    budget = RetryBudget(ratio=0.1, reserve=10, window=10.0)
    assert [budget.take(0.0) for _ in range(11)] == [True] * 10 + [False]
    for _ in range(30):
        budget.deposit(1.0)
    assert [budget.take(1.0) for _ in range(4)] == [True] * 3 + [False]


def test_a_budget_forgets():
    budget = RetryBudget(ratio=0.1, reserve=1, window=10.0)
    for _ in range(100):
        budget.deposit(0.0)
    assert all(budget.take(0.0) for _ in range(11))
    assert not budget.take(9.0)
    assert [budget.take(20.0) for _ in range(2)] == [True, False]
