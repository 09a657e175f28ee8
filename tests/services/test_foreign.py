"""What the mesh did not start is used, and never stopped."""

from __future__ import annotations

import os
import subprocess
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from automarket.docker_check import compose_command
from automarket.errors import ServiceStartFailed
from automarket.service_status import ServiceState
from tests.services.test_on_demand import ready, use
from tests.services.toy import Toys, containers, eventually
from tests.support.docker import client
from tests.support.mesh import free_port

if TYPE_CHECKING:
    from tests.services.toy import ToySettings

pytestmark = [pytest.mark.slow, pytest.mark.docker]


def compose_up(toys: Toys, settings: ToySettings) -> None:
    """Start a toy as a user does, by hand."""
    file = toys.spec().folder / "docker-compose.yml"
    command = [*compose_command(), "-p", "somebodys", "-f", str(file), "up", "-d"]
    subprocess.run(command, env={**os.environ, **settings.environment()}, check=True, capture_output=True)


def compose_down(toys: Toys) -> None:
    file = toys.spec().folder / "docker-compose.yml"
    subprocess.run([*compose_command(), "-p", "somebodys", "-f", str(file), "down", "-v"], check=True)


async def test_a_users_own_container_is_used_at_its_port_and_left_alone(toys: Toys):
    theirs = toys.settings(toy={"start_seconds": 1})
    compose_up(toys, theirs)
    on_demand = toys.on_demand(toys.settings(idle_seconds=1))  # with another port in its settings
    await on_demand.open()
    async with on_demand.lease() as lease:
        states = await ready(lease)
        assert set(states) <= {ServiceState.STARTING, ServiceState.LOADING, ServiceState.READY}
        assert lease.url == f"http://127.0.0.1:{theirs.port}"
    status = await on_demand.status()
    assert status.state == ServiceState.READY
    assert not status.managed
    assert (await on_demand.stop()).state == ServiceState.READY
    with pytest.raises(TimeoutError):
        await eventually(lambda: [one.status for one in containers()] != ["running"], seconds=4)
    await on_demand.close()
    assert [one.status for one in containers()] == ["running"]
    compose_down(toys)


async def test_a_users_own_that_is_paused_is_not_touched(toys: Toys):
    compose_up(toys, toys.settings())
    containers()[0].pause()
    on_demand = toys.on_demand()
    with pytest.raises(ServiceStartFailed, match="paused") as caught:
        await use(on_demand)
    assert "docker unpause" in (caught.value.hint or "")
    assert [one.status for one in containers()] == ["paused"]
    await on_demand.close()
    compose_down(toys)


async def test_what_answers_at_the_port_without_our_labels_is_used_and_left_alone(toys: Toys):
    port = free_port()
    with client() as docker:
        own = docker.containers.run(toys.image, detach=True, ports={"8000/tcp": ("127.0.0.1", port)})
        try:
            await eventually(lambda: b"serves" in own.logs(), seconds=20)
            on_demand = toys.on_demand(toys.settings(port=port))
            service = toys.service(toys.settings(port=port))
            async with aclosing(service.start()) as statuses:
                last = [status async for status in statuses][-1]
            assert last.state == ServiceState.READY
            assert await use(on_demand) == "done\n"
            assert not (await on_demand.status()).managed
            await on_demand.close()
            own.reload()
            assert own.status == "running"
            assert containers() == []
        finally:
            own.remove(force=True)
    await service.close()


async def test_a_stopped_container_of_the_user_is_left_and_the_mesh_makes_its_own(toys: Toys):
    compose_up(toys, toys.settings())
    (theirs,) = containers()
    theirs.stop()
    on_demand = toys.on_demand()
    assert await use(on_demand) == "done\n"
    await on_demand.close()
    theirs.reload()
    assert theirs.status == "exited"
    assert len(containers()) == 2
    compose_down(toys)


async def test_what_another_mesh_started_is_used_and_left_alone(toys: Toys):
    settings = toys.settings()
    theirs = toys.on_demand(settings)
    assert await use(theirs) == "done\n"
    others = Toys(toys.folder, toys.image, state="other-state")
    ours = others.on_demand(others.settings(idle_seconds=1, start_period="61s"))  # a setting that needs another one
    await ours.open()
    assert await use(ours) == "done\n"
    assert not (await ours.status()).managed
    assert (await ours.stop()).state == ServiceState.READY
    with pytest.raises(TimeoutError):
        await eventually(lambda: [one.status for one in containers()] != ["running"], seconds=3)
    await ours.close()
    assert (await theirs.status()).managed
    await theirs.stop()
    await theirs.close()
