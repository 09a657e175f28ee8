"""Requests of many calls to a backend that can do one, and cannot stop it."""

from __future__ import annotations

import asyncio

import pytest

from provider_servers.runtime.turns import Turns


class Slow:
    """A backend: what it is asked is noted, and answered when it is told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, asyncio.Event] = {}
        self.most = 0
        self._under_way = 0

    def ask(self, name: str, *, uploads: float = 0):
        self.answers[name] = asyncio.Event()

        async def asking(sent):
            self.asked.append(name)
            self._under_way += 1
            self.most = max(self.most, self._under_way)
            try:
                await asyncio.sleep(uploads)
                sent()
                await self.answers[name].wait()
            finally:
                self._under_way -= 1
            return name.upper()

        return asking


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def ended(turn) -> None:
    async with asyncio.timeout(2):
        while not turn.has_ended:
            await turn.news(1)


async def test_one_request_is_out_at_a_time_in_the_order_of_asking():
    turns, slow = Turns(), Slow()
    taken = [turns.take(slow.ask(name)) for name in "abc"]
    await settled()
    assert slow.asked == ["a"]
    assert [one.is_out for one in taken] == [True, False, False]
    assert [turns.ahead_of(one) for one in taken] == [0, 1, 2]
    assert turns.busy
    for name, turn in zip("abc", taken, strict=True):
        slow.answers[name].set()
        await ended(turn)
        assert turn.result() == name.upper()
    await settled()
    assert (slow.asked, slow.most, turns.busy) == (["a", "b", "c"], 1, False)


async def test_calls_take_turns_request_by_request():
    turns, slow = Turns(), Slow()

    async def call(name, requests):
        for number in range(requests):
            turn = turns.take(slow.ask(f"{name}{number}"))
            slow.answers[f"{name}{number}"].set()
            await ended(turn)

    await asyncio.gather(call("a", 4), call("b", 2), call("c", 2))
    assert slow.asked == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "a3"]


async def test_who_leaves_before_its_request_is_out_takes_it_along():
    turns, slow = Turns(), Slow()
    first, second, third = (turns.take(slow.ask(name)) for name in "abc")
    await settled()
    second.leave()
    await settled()
    assert turns.ahead_of(third) == 1
    slow.answers["a"].set()
    await ended(first)
    await settled()
    assert slow.asked == ["a", "c"]
    await turns.close()


async def test_who_leaves_while_its_request_goes_out_stops_it():
    turns, slow = Turns(), Slow()
    first, second = turns.take(slow.ask("a", uploads=5)), turns.take(slow.ask("b"))
    await settled()
    first.leave()
    await settled()
    assert second.is_out
    await turns.close()


async def test_a_request_that_is_out_is_seen_through_before_the_next():
    turns, slow = Turns(), Slow()
    first, second = turns.take(slow.ask("a")), turns.take(slow.ask("b"))
    await settled()
    first.leave()
    await asyncio.sleep(0.05)
    assert slow.asked == ["a"]
    slow.answers["a"].set()
    await settled()
    assert second.is_out
    await turns.close()


async def test_what_goes_wrong_is_told_to_who_asked_and_holds_nobody_up():
    turns, slow = Turns(), Slow()

    async def failing(sent):
        sent()
        raise ConnectionResetError

    first, left, last = turns.take(failing), turns.take(failing), turns.take(slow.ask("c"))
    left.leave()
    await ended(first)
    with pytest.raises(ConnectionResetError):
        first.result()
    slow.answers["c"].set()
    await ended(last)
    assert last.result() == "C"


async def test_news_comes_when_it_is_out_and_when_time_has_passed():
    turns, slow = Turns(), Slow()
    turn = turns.take(slow.ask("a", uploads=0.05))
    clock = asyncio.get_running_loop()
    begin = clock.time()
    await turn.news(5)
    assert turn.is_out
    assert clock.time() - begin < 2
    await turn.news(0.05)
    assert not turn.has_ended
    await turns.close()


async def test_closing_gives_up_what_is_out_and_what_waits():
    turns, slow = Turns(), Slow()
    taken = [turns.take(slow.ask(name)) for name in "abc"]
    await settled()
    await turns.close()
    assert all(one.has_ended for one in taken)
    assert slow.asked == ["a"]
    assert not turns.busy
