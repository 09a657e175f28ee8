"""A backend's way from nothing to ready, or to a failure that says why, on a real engine."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from automarket.errors import GpuMissing, PortTaken, ServiceStartFailed
from automarket.service_status import ServiceState, ServiceStatus
from tests.services.toy import containers
from tests.support.mesh import free_port

if TYPE_CHECKING:
    from services.runtime import Service
    from tests.services.toy import Toys

pytestmark = [pytest.mark.slow, pytest.mark.docker]


async def started(service: Service) -> list[ServiceStatus]:
    """Start it and give its states, of equal ones in a row the last."""
    found: list[ServiceStatus] = []
    async with aclosing(service.start()) as statuses:
        async for status in statuses:
            if found and found[-1].state == status.state:
                found.pop()
            found.append(status)
    return found


async def test_a_start_goes_through_every_state_in_order(toys: Toys):
    service = toys.service(toys.settings(toy={"start_seconds": 1}))
    assert (await service.status()).state == ServiceState.ABSENT
    states = [status.state for status in await started(service)]
    assert states == ["absent", "created", "starting", "loading", "ready"]
    status = await service.status(log_lines=2)
    assert status.running
    assert status.healthy
    assert status.managed
    assert status.log_lines == ("toy begins", "toy serves")
    assert (await service.exec(["echo", "here"])) == (0, "here\n")
    assert 0 < (await service.stats()).memory_bytes <= (await service.stats()).memory_limit_bytes == 96 * 2**20

    status = await service.stop()
    assert status.state == ServiceState.STOPPED
    assert not status.running
    again = [status.state for status in await started(service)]
    assert again == ["starting", "loading", "ready"], "a container that is as it should be is not made anew"
    assert len(containers()) == 1
    await service.stop()
    await service.close()


async def test_a_backend_that_ends_at_its_start_says_why(toys: Toys):
    service = toys.service(toys.settings(toy={"exit": 3}))
    status = (await started(service))[-1]
    assert status.state == ServiceState.FAILED
    assert status.exit_code == 3
    assert not status.out_of_memory
    assert "exit code 3" in status.error
    assert status.log_lines == ("toy begins", "toy cannot go on")
    assert status.hint
    await service.close()


async def test_health_that_is_never_good_is_a_failure_with_the_health_checks_words(toys: Toys):
    service = toys.service(toys.settings(toy={"ready": False}, start_period="0s", start_seconds=60))
    status = (await started(service))[-1]
    assert status.state == ServiceState.FAILED
    assert "503" in status.error, status
    assert status.log_lines[-1] == "toy serves"
    assert not status.running, "it is not left running"
    await service.close()


async def test_a_start_without_progress_fails_after_its_time(toys: Toys):
    service = toys.service(toys.settings(toy={"start_seconds": 60}, start_seconds=3))
    before = time.monotonic()
    status = (await started(service))[-1]
    assert status.state == ServiceState.FAILED
    assert "no progress for 3 s" in status.error
    assert "AUTOMARKET_TOY_START_SECONDS" in status.hint
    assert not status.running
    assert time.monotonic() - before < 25
    await service.close()


@pytest.mark.parametrize("progress", [{"lines_a_second": 2}, {"burn": True}], ids=["log lines", "work"])
async def test_the_time_of_a_start_does_not_run_while_there_is_progress(toys: Toys, progress: dict[str, object]):
    service = toys.service(toys.settings(toy={"start_seconds": 13, **progress}, start_seconds=6))
    assert (await started(service))[-1].state == ServiceState.READY
    await service.stop()
    await service.close()


async def test_a_taken_port_is_named_with_the_variable_that_changes_it(toys: Toys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        service = toys.service(toys.settings(port=port))
        with pytest.raises(PortTaken, match=f"port {port}") as caught:
            await started(service)
        assert "AUTOMARKET_TOY_PORT" in (caught.value.hint or "")
    assert containers() == [], "what could not be started is not left behind"
    assert (await started(service))[-1].state == ServiceState.READY, "the next start works once the port is free"
    await service.stop()
    await service.close()


async def test_a_port_that_another_container_has_is_named_too(toys: Toys):
    port = free_port()
    one, other = toys.service(toys.settings(port=port), "toy"), toys.service(toys.settings(port=port), "toy2")
    await started(one)
    # Somebody answers at the port: it is used as what it is, somebody else's.
    assert not (await other.status()).managed
    blind = toys.service(toys.settings(port=port), "toy2", is_ready=_never)
    with pytest.raises(PortTaken, match=str(port)):
        await started(blind)
    await one.stop()
    for service in (one, other, blind):
        await service.close()


async def _never(url: str) -> bool:
    return False


async def test_a_gpu_that_is_not_there_is_said_plainly(toys: Toys):
    service = toys.service(toys.settings(gpu=True))
    with pytest.raises(GpuMissing) as caught:
        await started(service)
    assert "AUTOMARKET_TOY_GPU" in (caught.value.hint or "")
    assert containers() == []
    await service.close()


async def test_a_memory_limit_that_docker_does_not_understand_is_named(toys: Toys):
    service = toys.service(toys.settings(memory="lots"))
    with pytest.raises(ServiceStartFailed) as caught:
        await started(service)
    assert "AUTOMARKET_TOY_MEMORY" in (caught.value.hint or ""), caught.value
    await service.close()


async def test_a_start_that_is_called_off_leaves_nothing_running(toys: Toys):
    on_demand = toys.on_demand(toys.settings(toy={"start_seconds": 60}))
    async with on_demand.lease() as lease, aclosing(lease.ready()) as statuses:
        async for status in statuses:
            if status.state == ServiceState.STARTING and containers():
                break
    await on_demand.close()
    await asyncio.sleep(0.5)
    assert [one.status for one in containers()] == ["exited"] or containers() == []
