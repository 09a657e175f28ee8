from __future__ import annotations

import pytest

from automarket.errors import Code, ProviderBusy
from gateway.relay.line import Lines


class Place:
    """Stands for the places of a provider, and for calls that take or await them as the relay's do."""

    def __init__(self, lines, free=0):
        self.lines = lines
        self.free = free
        self.served = []
        self.tickets = {}

    def attempt(self, name, useful=lambda: True):
        if self.free and useful():
            self.free -= 1
            self.served.append(name)
        else:
            self.tickets[name] = self.lines.join("p", lambda: self.attempt(name, useful))

    def release(self):
        self.free += 1
        self.lines.freed("p")


def test_first_come_is_first_served():
    lines = Lines()
    place = Place(lines)
    for name in "abc":
        place.attempt(name)
    assert lines.waiting("p") == 3
    for _ in range(3):
        place.release()
    assert place.served == ["a", "b", "c"]
    assert lines.waiting("p") == 0


def test_one_place_wakes_one_call():
    lines = Lines()
    place = Place(lines)
    for name in "abc":
        place.attempt(name)
    place.release()
    assert (place.served, lines.waiting("p")) == (["a"], 2)


def test_a_line_is_bounded_and_says_when_to_come_back():
    lines = Lines(max_waiting=2)
    lines.join("p", int)
    ticket = lines.join("p", int)
    with pytest.raises(ProviderBusy) as caught:
        lines.join("p", int)
    assert caught.value.code == Code.RESOURCE_EXHAUSTED
    assert caught.value.retry_after
    assert caught.value.hint
    assert caught.value.metadata == {"provider": "p"}
    lines.join("q", int)
    lines.leave(ticket)
    lines.join("p", int)
    assert (lines.waiting("p"), lines.waiting("q"), lines.waiting("r")) == (2, 1, 0)


def test_who_left_is_not_woken():
    lines = Lines()
    place = Place(lines)
    for name in "ab":
        place.attempt(name)
    lines.leave(place.tickets["a"])
    lines.leave(place.tickets["a"])
    place.release()
    assert place.served == ["b"]
    lines.leave(place.tickets["b"])


def test_who_finds_no_place_keeps_its_turn():
    lines = Lines()
    place = Place(lines)
    for name in "abc":
        place.attempt(name)
    for _ in range(3):
        lines.freed("p")
    for _ in range(3):
        place.release()
    assert place.served == ["a", "b", "c"]


def test_a_place_that_is_of_no_use_to_the_first_goes_to_the_next():
    lines = Lines()
    place = Place(lines)
    place.attempt("picky", useful=lambda: False)
    place.attempt("a")
    place.release()
    assert place.served == ["a"]
    assert lines.waiting("p") == 1


def test_who_has_gone_away_meanwhile_does_not_waste_the_place():
    lines = Lines()
    place = Place(lines)
    lines.join("p", lambda: None)  # woken, it finds that its time is up
    place.attempt("a")
    place.release()
    assert place.served == ["a"]
    assert lines.waiting("p") == 0


def test_who_leaves_while_another_is_woken_is_not_woken():
    lines = Lines()
    woken = []
    first = lines.join("p", lambda: lines.leave(second))
    second = lines.join("p", lambda: woken.append("second"))
    lines.freed("p")
    assert woken == []
    assert first is not second


def test_a_place_that_is_freed_while_a_call_is_woken_goes_to_another_one():
    lines = Lines()
    woken = []

    def fail_at_once():
        woken.append("a")
        lines.freed("p")

    lines.join("p", fail_at_once)
    lines.join("p", lambda: woken.append("b"))
    lines.freed("p")
    assert woken == ["a", "b"]


def test_a_new_table_is_offered_to_every_line():
    lines = Lines()
    woken = []
    for provider_id in "pqp":
        lines.join(provider_id, lambda provider_id=provider_id: woken.append(provider_id))
    lines.changed()
    assert sorted(woken) == ["p", "p", "q"]
    lines.changed()
    assert len(woken) == 3
