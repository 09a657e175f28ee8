from __future__ import annotations

import pytest

from gateway.relay.balance import Balance
from gateway.relay.window import Window


def fail(balance, instance_id, now, times=1):
    for _ in range(times):
        balance.begin(instance_id)
        balance.end(instance_id, now=now, seconds=None, failed=True)


def answer(balance, instance_id, now, seconds=0.01):
    balance.begin(instance_id)
    balance.end(instance_id, now=now, seconds=seconds, failed=False)


def test_calls_count_from_begin_to_end():
    balance = Balance()
    assert balance.outstanding("a") == 0
    balance.begin("a")
    balance.begin("a")
    balance.end("a", now=1.0, seconds=0.1, failed=False)
    assert (balance.outstanding("a"), balance.outstanding("b")) == (1, 0)
    balance.end("b", now=1.0, seconds=0.1, failed=True)
    assert balance.outstanding("b") == 0


def test_latency_is_an_average_whose_half_life_is_time():
    balance = Balance()
    assert balance.latency("a") == 0.0
    answer(balance, "a", 100.0, seconds=1.0)
    assert balance.latency("a") == 1.0
    answer(balance, "a", 110.0, seconds=3.0)
    assert balance.latency("a") == pytest.approx(2.0)
    for _ in range(1000):  # many at once weigh no more than one
        answer(balance, "a", 110.0, seconds=9.0)
    assert balance.latency("a") == pytest.approx(2.0)
    fail(balance, "a", 120.0)
    assert balance.latency("a") == pytest.approx(2.0)


def test_five_failures_in_a_row_eject():
    balance = Balance()
    fail(balance, "a", 1.0, times=4)
    answer(balance, "a", 1.0)
    fail(balance, "a", 1.0, times=4)
    assert balance.ejected(1.0) == set()
    fail(balance, "a", 1.0)
    assert balance.ejected(1.0) == {"a"}
    assert balance.ejected(1.99) == {"a"}
    assert balance.ejected(2.0) == set()


def test_half_of_twenty_calls_that_fail_in_ten_seconds_eject():
    balance = Balance()
    for number in range(9):
        answer(balance, "a", number)
        fail(balance, "a", number)
    assert balance.ejected(9.0) == set(), "eighteen calls are too few to tell"
    answer(balance, "a", 9.0)
    fail(balance, "a", 9.0)
    assert balance.ejected(9.0) == {"a"}


def test_failures_of_long_ago_do_not_count():
    balance = Balance()
    for number in range(200):
        now = number * 2.0  # ten calls in ten seconds
        answer(balance, "a", now)
        fail(balance, "a", now)
        assert balance.ejected(now) == set()


def test_one_call_is_let_through_after_the_time_and_its_answer_readmits():
    balance = Balance()
    fail(balance, "a", 0.0, times=5)
    assert balance.ejected(1.0) == set()
    balance.begin("a")
    assert balance.ejected(1.0) == {"a"}, "one call at a time"
    balance.end("a", now=1.1, seconds=0.1, failed=False)
    assert balance.ejected(1.1) == set()
    fail(balance, "a", 1.2, times=4)
    assert balance.ejected(1.2) == set(), "it starts anew"


def test_a_call_that_tells_nothing_lets_another_one_through():
    balance = Balance()
    fail(balance, "a", 0.0, times=5)
    balance.begin("a")
    balance.end("a", now=1.5, seconds=None, failed=False)
    assert balance.ejected(1.5) == set()
    balance.begin("a")
    assert balance.ejected(1.5) == {"a"}


def test_calls_from_before_the_ejection_say_nothing_about_afterwards():
    balance = Balance()
    for _ in range(3):
        balance.begin("a")
    fail(balance, "a", 0.0, times=5)
    balance.end("a", now=0.1, seconds=0.1, failed=False)
    assert balance.ejected(0.5) == {"a"}, "an answer to an old call does not readmit"
    balance.end("a", now=0.2, seconds=None, failed=True)
    assert balance.ejected(1.0) == set(), "nor does its failure prolong"


def test_every_ejection_is_twice_as_long_up_to_a_minute():
    balance = Balance()
    fail(balance, "a", 0.0, times=5)
    now, lengths = 0.0, []
    for _ in range(9):
        length = 0.0
        while balance.ejected(now + length):
            length += 0.5
        lengths.append(length)
        now += length
        fail(balance, "a", now)
    assert lengths == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_being_well_shortens_the_next_ejection():
    balance = Balance()
    fail(balance, "a", 0.0, times=5)
    for now in (1.0, 3.0, 7.0):
        fail(balance, "a", now)
    answer(balance, "a", 15.0)
    fail(balance, "a", 15.0 + 25.0, times=5)  # four doublings, two taken back
    assert balance.ejected(43.9) == {"a"}
    assert balance.ejected(44.0) == set()
    answer(balance, "a", 44.0)
    fail(balance, "a", 1000.0, times=5)
    assert balance.ejected(1000.9) == {"a"}
    assert balance.ejected(1001.0) == set()


def test_never_more_than_half_of_a_provider_is_passed_over():
    balance = Balance()
    for name in ("c", "a", "b", "d"):
        fail(balance, name, 0.0, times=5)
    ejected = balance.ejected(0.5)
    assert ejected == {"a", "b", "c", "d"}
    assert balance.passed_over(["a", "b", "c", "d"], ejected) == {"c", "a"}, "who failed first stays out"
    assert balance.passed_over(["a", "b", "x"], ejected) == {"a"}
    assert balance.passed_over(["a"], ejected) == set()


def test_instances_that_are_gone_are_forgotten_when_their_calls_are_over():
    balance = Balance()
    fail(balance, "a", 0.0, times=5)
    balance.begin("b")
    balance.forget({"c"})
    assert balance.ejected(0.0) == set()
    assert balance.outstanding("b") == 1
    balance.end("b", now=0.1, seconds=None, failed=False)
    balance.forget({"c"})
    assert balance.standings == {}


def test_a_window_forgets_step_by_step():
    window = Window(10.0)
    window.add(0.5, 1, 1)
    window.add(5.0, 2, 0)
    assert window.totals(9.9) == (3, 1)
    assert window.totals(10.0) == (2, 0)
    window.add(10.2, 1, 0)
    assert window.totals(10.2) == (3, 0)
    assert window.totals(100.0) == (0, 0)
    window.clear()
    assert window.totals(10.2) == (0, 0)
