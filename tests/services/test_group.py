"""Backends that do not fit on the machine together."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from automarket.service_status import ServiceState
from tests.services.test_on_demand import ready, use
from tests.services.toy import containers

if TYPE_CHECKING:
    from tests.services.toy import Toys

pytestmark = [pytest.mark.slow, pytest.mark.docker]


def running() -> list[str]:
    return sorted(one.labels["automarket.backend"] for one in containers() if one.status == "running")


async def test_starting_one_stops_an_idle_other_of_its_group_and_no_one_else(toys: Toys):
    one = toys.on_demand(toys.settings(exclusive_group="gpu"), "toy-one")
    two = toys.on_demand(toys.settings(exclusive_group="gpu"), "toy-two")
    free = toys.on_demand(toys.settings(), "toy-free")
    await asyncio.gather(use(one), use(free))
    assert await use(two) == "done\n"
    assert running() == ["toy-free", "toy-two"]
    assert await use(one) == "done\n"
    assert running() == ["toy-free", "toy-one"]
    for on_demand in (one, two, free):
        await on_demand.close()
    assert running() == []


async def test_it_waits_for_one_that_is_in_use_and_says_for_whom(toys: Toys):
    one = toys.on_demand(toys.settings(exclusive_group="gpu"), "toy-one")
    two = toys.on_demand(toys.settings(exclusive_group="gpu", start_seconds=2), "toy-two")
    async with one.lease() as lease:
        await ready(lease)

        async def call() -> list[str]:
            async with two.lease() as other, aclosing(other.ready()) as statuses:
                return [status.message async for status in statuses]

        waiting = asyncio.create_task(call())
        await asyncio.sleep(5)
        assert not waiting.done(), "it waits longer than a start may take: nothing is wrong"
        assert running() == ["toy-one"]
    assert "toy-two waits for toy-one, which is in use" in await waiting
    assert running() == ["toy-two"]
    await one.close()
    await two.close()


async def test_who_is_waited_for_can_start_again(toys: Toys):
    one, two = (toys.on_demand(toys.settings(exclusive_group="gpu"), name) for name in ("toy-one", "toy-two"))
    async with one.lease() as lease:
        await ready(lease)
        waiting = asyncio.create_task(use(two))
        await asyncio.sleep(1)
        containers("toy-one")[0].kill()
        async with asyncio.timeout(60):  # whoever comes first: nobody waits for ever
            await ready(lease)
        assert "toy-one" in running()
    async with asyncio.timeout(60):
        assert await waiting == "done\n"
    assert len(running()) == 1
    await one.close()
    await two.close()


async def test_two_that_start_at_once_take_turns(toys: Toys):
    both = [toys.on_demand(toys.settings(exclusive_group="gpu"), name) for name in ("toy-one", "toy-two")]
    answers = await asyncio.gather(*(use(one, "/work?seconds=1") for one in both))
    assert answers == ["done\n", "done\n"]
    assert len(running()) == 1
    for one in both:
        await one.close()


async def test_a_user_s_own_of_the_group_is_not_stopped(toys: Toys):
    own = toys.service(toys.settings(exclusive_group="gpu"), "toy-own")
    own._compose._environment = {**own._compose._environment, "AUTOMARKET_STARTED_BY": "user"}
    await own._compose.create(anew=False, silence=60)
    containers("toy-own")[0].start()
    one = toys.on_demand(toys.settings(exclusive_group="gpu"), "toy-one")
    assert await use(one) == "done\n"
    assert running() == ["toy-one", "toy-own"]
    await one.close()
    assert (await own.status()).state in (ServiceState.READY, ServiceState.LOADING)
    containers("toy-own")[0].stop()
    await own.close()
