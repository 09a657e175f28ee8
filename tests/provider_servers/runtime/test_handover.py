"""Events on their way from one task to another."""

from __future__ import annotations

import asyncio

import pytest

from provider_servers.runtime.handover import SILENCE, Handover
from provider_servers.runtime.workdir import Workdir


async def test_events_come_in_order_and_then_the_end():
    events = Handover(2, 60)

    async def give():
        for number in range(20):
            await events.put(number)
        events.end()

    giving = asyncio.create_task(give())
    assert [await events.take() for _ in range(21)] == [*range(20), None]
    await giving
    events.close()


async def test_who_gives_waits_for_room():
    events = Handover(2, 60)
    await events.put(1)
    await events.put(2)
    assert not events.has_room()
    third = asyncio.create_task(events.put(3))
    await asyncio.sleep(0.01)
    assert not third.done()
    assert events.take_next() == 1
    await asyncio.wait_for(third, 1)
    assert [events.take_next(), events.take_next(), events.take_next()] == [2, 3, None]
    events.put_back(3)
    assert await events.take() == 3


async def test_giving_can_be_cancelled_while_it_waits():
    events = Handover(1, 60)
    await events.put(1)
    second = asyncio.create_task(events.put(2))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert events.take_next() == 1
    assert events.take_next() is None


async def test_taking_can_be_cancelled_and_loses_nothing():
    events = Handover(1, 60)
    taking = asyncio.create_task(events.take())
    await asyncio.sleep(0)
    await events.put("x")
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert await events.take() == "x"
    events.close()


async def test_long_silence_is_told_again_and_again_and_ends_with_an_event():
    events = Handover(4, 0.05)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    assert await events.take() is SILENCE
    assert await events.take() is SILENCE
    assert loop.time() - begin >= 0.1
    loop.call_later(0.02, events.put_nowait, "x")
    assert await events.take() == "x"
    events.end()
    assert await events.take() is None
    events.close()


async def test_a_folder_is_made_when_it_is_asked_for():
    folder = Workdir()
    await folder.remove()
    assert not folder.is_made
    (folder.path / "file").write_text("x")
    assert folder.path.stat().st_mode & 0o077 == 0
    await folder.remove()
    assert not folder.path.exists()
