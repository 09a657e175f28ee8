"""Places and the line before them."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from automarket.errors import ProviderBusy
from provider_servers.runtime.places import Places


class Caller:
    def __init__(self, places):
        self.told = []
        self.inside = asyncio.Event()
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._call(places))

    async def _call(self, places):
        async with places.place(self.told.append):
            self.inside.set()
            await self.leave.wait()

    async def go(self):
        self.leave.set()
        await self.task


@pytest.fixture
async def places():
    return Places("toy", 1, 3, lambda: None)


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_calls_go_first_come_first_served(places):
    callers = [Caller(places) for _ in range(4)]
    await settle()
    assert (places.active, places.queued) == (1, 3)
    for number, caller in enumerate(callers):
        await asyncio.wait_for(caller.inside.wait(), 1)
        assert [one.inside.is_set() for one in callers].count(True) == number + 1
        await caller.go()
    assert (places.active, places.queued) == (0, 0)


async def test_those_who_wait_are_told_when_the_line_moves_and_once_a_second(places):
    first, second, third = (Caller(places) for _ in range(3))
    await asyncio.sleep(0.4)
    assert (first.told, second.told, third.told) == ([], [0], [1])
    await asyncio.sleep(1.8)
    assert second.told in ([0, 0, 0], [0, 0])  # a busy machine is late
    assert set(third.told) == {1}
    await first.go()
    await asyncio.wait_for(second.inside.wait(), 1)
    await asyncio.sleep(0.5)
    assert third.told[-1] == 0
    await second.go()
    await third.go()


async def test_one_more_than_the_line_holds_is_refused_with_a_time(places):
    callers = [Caller(places) for _ in range(4)]
    await settle()
    with pytest.raises(ProviderBusy) as caught:
        async with places.place(print):
            pass
    assert caught.value.retry_after
    for caller in callers:
        await caller.go()


@pytest.mark.parametrize("together", [False, True])
async def test_whoever_gives_up_keeps_nobody_waiting(places, together):
    for _ in range(25):
        first, second, third = (Caller(places) for _ in range(3))
        await settle()
        if together:  # the place is handed over at the very moment of the cancel
            first.leave.set()
            await asyncio.sleep(0)
        second.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await second.task
        await first.go()
        await asyncio.wait_for(third.inside.wait(), 1)
        await third.go()
        assert (places.active, places.queued) == (0, 0)


async def test_every_change_is_told():
    changes = []
    places = Places("toy", 1, 3, lambda: changes.append((places.active, places.queued)))
    first, second = Caller(places), Caller(places)
    await settle()
    await first.go()
    await asyncio.wait_for(second.inside.wait(), 1)
    await second.go()
    assert {(1, 0), (1, 1)} <= set(changes)
    assert changes[-1] == (0, 0)
