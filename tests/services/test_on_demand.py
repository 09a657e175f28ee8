"""Backends on demand: many callers start one container, and nobody stops what somebody uses."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from automarket.service_status import ServiceState
from tests.services.toy import containers, eventually, get, is_ready

if TYPE_CHECKING:
    from services.runtime import Lease, OnDemand
    from tests.services.toy import Toys

pytestmark = [pytest.mark.slow, pytest.mark.docker]


async def ready(lease: Lease) -> list[ServiceState]:
    async with aclosing(lease.ready()) as statuses:
        return [status.state async for status in statuses]


async def use(on_demand: OnDemand, path: str = "/work?seconds=0") -> str:
    async with on_demand.lease() as lease:
        await ready(lease)
        return await lease.run(get(lease.url, path))


async def test_ten_calls_at_once_start_one_container(toys: Toys):
    on_demand = toys.on_demand()
    await on_demand.open()
    assert await asyncio.gather(*(use(on_demand) for _ in range(10))) == ["done\n"] * 10
    (one,) = containers()
    assert one.status == "running"
    async with on_demand.lease() as lease:
        assert await ready(lease) == [], "nothing is said when it is ready already"
    await on_demand.close()
    assert [one.status for one in containers()] == ["exited"], "closing stops what the mesh has started"


async def test_the_first_status_comes_at_once_and_then_one_a_second(toys: Toys):
    on_demand = toys.on_demand(toys.settings(toy={"start_seconds": 3}))
    at = [time.monotonic()]
    async with on_demand.lease() as lease, aclosing(lease.ready()) as statuses:
        async for status in statuses:
            assert status.message
            at.append(time.monotonic())
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert gaps[0] < 0.3
    assert max(gaps) < 1.5, gaps  # one a second, and what a machine with other work adds
    await on_demand.close()


async def test_callers_who_go_away_leave_the_start_to_the_next(toys: Toys):
    on_demand = toys.on_demand(toys.settings(toy={"start_seconds": 1}))
    calls = [asyncio.create_task(use(on_demand)) for _ in range(5)]
    await asyncio.sleep(0.3)
    for call in calls:
        before = time.monotonic()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert time.monotonic() - before < 0.5  # 0.2 on a machine that has nothing else to do
    assert (await on_demand.status()).state not in (ServiceState.READY, ServiceState.FAILED)
    assert await use(on_demand) == "done\n"
    assert len(containers()) == 1
    await on_demand.close()


async def test_it_is_stopped_when_idle_and_never_while_a_call_uses_it(toys: Toys):
    on_demand = toys.on_demand(toys.settings(idle_seconds=2))
    await on_demand.open()
    async with on_demand.lease() as lease:
        await ready(lease)
        await asyncio.sleep(5)
        assert (await on_demand.status()).state == ServiceState.BUSY
        assert (await on_demand.stop()).state == ServiceState.BUSY, "nor when somebody asks for it"
        assert await is_ready(lease.url)
    await eventually(lambda: [one.status for one in containers()] == ["exited"], seconds=20)
    assert await use(on_demand) == "done\n", "the next call starts it again"
    await on_demand.close()


async def test_a_busy_backend_that_answers_no_probe_is_busy_and_takes_the_next_call(toys: Toys):
    on_demand = toys.on_demand(toys.settings(start_period="0s", start_seconds=3))
    await use(on_demand)
    work = asyncio.create_task(use(on_demand, "/work?seconds=9"))
    await asyncio.sleep(7)  # its health check fails meanwhile
    status = await on_demand.status()
    assert status.state == ServiceState.BUSY
    assert status.healthy
    async with on_demand.lease() as lease:
        assert await ready(lease) == []
    assert await work == "done\n"
    await on_demand.close()


async def test_what_is_kept_warm_is_started_with_its_provider_and_stays(toys: Toys):
    on_demand = toys.on_demand(toys.settings(idle_seconds=1, keep_warm=True))
    await on_demand.open()
    async with aclosing(on_demand.watch()) as statuses:
        async for status in statuses:
            if status.state == ServiceState.READY:
                break
    await asyncio.sleep(3)
    assert (await on_demand.status()).state == ServiceState.READY
    await on_demand.close()
    assert [one.status for one in containers()] == ["running"]
    containers()[0].stop()


async def test_watching_shows_every_state_and_what_a_person_does(toys: Toys):
    on_demand = toys.on_demand()
    seen: list[ServiceState] = []

    async def watch() -> None:
        async with aclosing(on_demand.watch()) as statuses:
            async for status in statuses:
                if not seen or seen[-1] != status.state:
                    seen.append(status.state)

    async def shown(*states: str) -> None:
        await eventually(lambda: seen[-len(states) :] == list(states), seconds=15)

    watching = asyncio.create_task(watch())
    await use(on_demand)
    await shown("busy", "ready")
    assert seen[:4] == ["absent", "created", "starting", "loading"], seen
    (one,) = containers()
    one.pause()
    await shown("failed")
    one.unpause()
    await shown("ready")
    one.stop()
    await shown("stopped")
    one.start()
    await shown("ready")
    one.kill()
    await shown("failed")
    one.remove()
    await shown("absent")
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await on_demand.close()


async def test_explicit_start_and_stop(toys: Toys):
    on_demand = toys.on_demand()
    async with aclosing(on_demand.start()) as statuses:
        states = [status.state async for status in statuses]
    assert states[-1] == ServiceState.READY
    async with aclosing(on_demand.start()) as statuses:
        assert [status.state async for status in statuses] == [ServiceState.READY]
    assert (await on_demand.stop()).state == ServiceState.STOPPED
    assert (await on_demand.stop()).state == ServiceState.STOPPED
    await on_demand.close()


async def test_a_failed_start_is_remembered_until_the_next(toys: Toys):
    on_demand = toys.on_demand(toys.settings(toy={"exit": 3}))
    async with aclosing(on_demand.start()) as statuses:
        async for _ in statuses:
            pass
    status = await on_demand.status()
    assert status.state == ServiceState.FAILED
    assert status.exit_code == 3
    assert status.log_lines
    await on_demand.close()
