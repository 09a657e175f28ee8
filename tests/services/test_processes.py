"""Several processes of the mesh share a backend, and a killed one leaves it to its successor."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from automarket.service_status import ServiceState
from tests.services.process import Process
from tests.services.test_on_demand import use
from tests.services.toy import containers, eventually

if TYPE_CHECKING:
    from tests.services.toy import Toys

pytestmark = [pytest.mark.slow, pytest.mark.docker]


async def test_processes_that_start_it_at_once_start_one_container(toys: Toys):
    settings = toys.settings(toy={"start_seconds": 2})
    processes = await asyncio.gather(*(Process.start(toys, settings) for _ in range(3)))
    answers = await asyncio.gather(*(process.ask("use 0.1") for process in processes))
    assert [text for text, _ in answers] == ["done\n"] * 3
    assert len(containers()) == 1
    for process in processes:
        await process.close()
    assert [one.status for one in containers()] == ["exited"]


async def test_a_killed_process_leaves_its_container_to_the_next(toys: Toys):
    settings = toys.settings(idle_seconds=4)
    first = await Process.start(toys, settings)
    await first.say("use 60")
    await first.working()
    before = containers()[0].attrs["State"]["StartedAt"]
    await first.kill()
    second = await Process.start(toys, settings)
    containers()[0].exec_run("true")
    # What the killed one has asked for is still worked on; the adopted container takes the next call after it.
    assert (await second.ask("status")) in ("ready", "loading", "failed", "busy")
    (one,) = containers()
    assert one.attrs["State"]["StartedAt"] == before
    await eventually(lambda: [one.status for one in containers()] == ["exited"], seconds=30)  # idle: it is adopted
    assert (await second.ask("use 0"))[0] == "done\n"
    assert len(containers()) == 1
    await second.close()


async def test_a_killed_start_is_taken_over(toys: Toys):
    settings = toys.settings(toy={"start_seconds": 3})
    first = await Process.start(toys, settings)
    await first.say("use 0")
    await eventually(lambda: [one.status for one in containers()] == ["running"], seconds=30)
    await first.kill()
    on_demand = toys.on_demand(settings)
    assert await use(on_demand) == "done\n"
    assert len(containers()) == 1
    await on_demand.close()


async def test_nobody_stops_what_another_process_uses(toys: Toys):
    settings = toys.settings(idle_seconds=1)
    user = await Process.start(toys, settings)
    await user.say("use 6")
    await user.working()
    on_demand = toys.on_demand(settings)
    await on_demand.open()
    await asyncio.sleep(3)
    status = await on_demand.status()
    assert status.state == ServiceState.BUSY
    assert (await on_demand.stop()).state == ServiceState.BUSY
    await on_demand.close()
    assert [one.status for one in containers()] == ["running"]
    await user.read()
    await eventually(lambda: [one.status for one in containers()] == ["exited"], seconds=15)
    await user.close()


async def test_who_waits_for_another_s_start_sees_how_far_it_is(toys: Toys):
    settings = toys.settings(toy={"start_seconds": 4})
    first, second = [await Process.start(toys, settings) for _ in range(2)]
    await first.say("use 0")
    await asyncio.sleep(0.5)
    text, states = await second.ask("use 0")
    assert text == "done\n"
    assert any(state.startswith("loading") for state in states), states
    await first.close()
    await second.close()


async def test_what_runs_with_other_settings_is_started_anew_by_the_next_process(toys: Toys):
    old = toys.settings()
    first = await Process.start(toys, old)
    await first.ask("use 0")
    await first.kill()
    new = toys.settings(port=old.port, toy={"start_seconds": 0.1})
    on_demand = toys.on_demand(new)
    await on_demand.open()
    await eventually(lambda: [one.status for one in containers()] == ["exited"], seconds=20)
    assert await use(on_demand) == "done\n"
    (one,) = containers()
    assert 'TOY={"start_seconds": 0.1}' in one.attrs["Config"]["Env"]
    await on_demand.close()
