"""What goes wrong with a container while calls use it, made for real: each call ends at once and says why."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from automarket.errors import BackendFailed
from tests.services.test_on_demand import ready, use
from tests.services.toy import containers, eventually, get
from tests.support.docker import client

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.toy import Toys

pytestmark = [pytest.mark.slow, pytest.mark.docker]


def kill(container: Any) -> None:
    container.kill()


def stop(container: Any) -> None:
    container.stop()


def pause(container: Any) -> None:
    container.pause()


def disconnect(container: Any) -> None:
    container.reload()
    (network,) = container.attrs["NetworkSettings"]["Networks"]
    with client() as docker:
        docker.networks.get(network).disconnect(container.id)


def remove(container: Any) -> None:
    container.remove(force=True)


FAULTS = {
    kill: "exit code 137",
    stop: "stopped",
    pause: "paused",
    disconnect: "network",
    remove: "removed",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_a_fault_in_the_middle_of_a_call_ends_it_with_its_reason_and_the_next_call_works(
    toys: Toys, fault: Callable[[Any], None]
):
    on_demand = toys.on_demand()
    async with on_demand.lease() as lease:
        await ready(lease)
        # What is paused goes on with its work afterwards, and does one thing at a time.
        seconds = 4 if fault == pause else 60
        working = asyncio.create_task(lease.run(get(lease.url, f"/work?seconds={seconds}")))
        await asyncio.sleep(0.5)
        before = time.monotonic()
        await asyncio.to_thread(fault, containers()[0])
        with pytest.raises(BackendFailed, match=FAULTS[fault]) as caught:
            await working
        assert time.monotonic() - before < 8
        if fault != remove:
            assert f"works {seconds} s" in caught.value.log_lines
    assert await use(on_demand) == "done\n"
    assert [one.status for one in containers()] == ["running"]
    await on_demand.close()
    assert "running" not in [one.status for one in containers()]


@pytest.mark.parametrize("fault", [kill, stop, pause, disconnect, remove], ids=lambda fault: fault.__name__)
async def test_a_fault_while_nobody_uses_it_costs_the_next_call_nothing_but_time(
    toys: Toys, fault: Callable[[Any], None]
):
    on_demand = toys.on_demand()
    await on_demand.open()
    await use(on_demand)
    await asyncio.to_thread(fault, containers()[0])
    assert await use(on_demand) == "done\n"
    assert [one.status for one in containers()] == ["running"]
    await on_demand.close()


async def test_memory_that_is_not_enough_is_said_with_the_setting_that_gives_more(toys: Toys):
    on_demand = toys.on_demand(toys.settings(memory="48m"))
    async with on_demand.lease() as lease:
        await ready(lease)
        with pytest.raises(BackendFailed, match="memory") as caught:
            await lease.run(get(lease.url, "/oom"))
    assert caught.value.metadata["out_of_memory"] == "true"
    assert caught.value.metadata["exit_code"] == "137"
    assert "AUTOMARKET_TOY_MEMORY" in (caught.value.hint or "")
    assert "48m" in (caught.value.hint or "")
    assert caught.value.log_lines[-1] == "eats"
    status = await on_demand.status()
    assert status.out_of_memory
    assert await use(on_demand) == "done\n"
    await on_demand.close()


async def test_a_backend_that_crashes_in_a_call_is_explained(toys: Toys):
    on_demand = toys.on_demand()
    async with on_demand.lease() as lease:
        await ready(lease)
        with pytest.raises(BackendFailed, match="exit code 139") as caught:
            await lease.run(get(lease.url, "/exit?code=139"))
        assert caught.value.metadata["exit_code"] == "139"
        assert caught.value.log_lines[-1] == "ends"
    await on_demand.close()


async def test_many_calls_that_break_together_share_one_new_start(toys: Toys):
    on_demand = toys.on_demand()

    async def call() -> str:
        async with on_demand.lease() as lease:
            await ready(lease)
            try:
                return await lease.run(get(lease.url, "/work?seconds=60"))
            except BackendFailed:
                await ready(lease)
                return await lease.run(get(lease.url, "/work?seconds=0"))

    calls = [asyncio.create_task(call()) for _ in range(5)]
    await eventually(lambda: any("works" in one.logs().decode() for one in containers()), seconds=60)
    containers()[0].kill()
    assert await asyncio.gather(*calls) == ["done\n"] * 5
    assert len(containers()) == 1
    await on_demand.close()


async def test_a_cancelled_call_is_free_at_once(toys: Toys):
    on_demand = toys.on_demand()
    async with on_demand.lease() as lease:
        await ready(lease)
        working = asyncio.create_task(lease.run(get(lease.url, "/work?seconds=30")))
        await asyncio.sleep(0.5)
        before = time.monotonic()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        assert time.monotonic() - before < 0.2
    await on_demand.close()
