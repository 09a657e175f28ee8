"""Backends of providers, as a program drives and watches them through the gateway."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

import automarket
from automarket import ServiceState, sync
from automarket.errors import (
    CapabilityUnknown,
    DeadlineExceeded,
    DockerMissing,
    DockerStopped,
    ModelUnknown,
    ProviderUnavailable,
    ServiceStartFailed,
)
from provider_servers.runtime.descriptors import models_to_proto
from provider_servers.runtime.testing import serving
from tests.support.backed import FAILED, LINES, READY, STOPPED, Backed, Played
from tests.support.gateway import Here, until_true
from tests.support.toy import Clock


@pytest.fixture
async def here(short_dir):
    return Here(short_dir)


@pytest.fixture
async def provider():
    return Backed()


@pytest.fixture
async def mesh(here, provider):
    """Give a mesh with the provider in it."""
    async with here.running(), serving(provider, here.control), automarket.connect(here.public) as connected:
        await until_true(lambda: _is_known(connected, ServiceState.STOPPED), 20, "the provider is there")
        yield connected


async def _is_known(mesh, state):
    async with contextlib.aclosing(mesh.watch(include_models=False)) as changes:
        async for change in changes:
            if change.service is not None and change.service.status.state == state:
                return True
            if change.snapshot_complete:
                return False
    return False


async def test_a_start_gives_its_states_and_the_final_status(mesh):
    seen = []
    handle = mesh.provider("box")
    status = await handle.start_service(on_status=seen.append)
    assert [one.state for one in seen] == ["pulling", "pulling", "starting", "loading", "ready"]
    assert [one.fraction for one in seen[:2]] == [0.25, 0.75]
    assert (status.state, status.healthy, status.managed) == (ServiceState.READY, True, True)
    assert (await handle.start_service()).state == ServiceState.READY
    assert (await handle.stop_service()).state == ServiceState.STOPPED


async def test_a_start_that_is_not_over_in_time_says_how_far_it_is_and_goes_on(mesh, provider):
    provider.backend.step = 0.4
    with pytest.raises(DeadlineExceeded, match=r"was not ready within 0.6 s: pulling image 75 %"):
        await mesh.provider("backed").start_service(timeout=0.6)
    assert (await mesh.provider("backed").start_service(20)).healthy
    assert provider.backend.starts == 1


async def test_a_start_that_fails_says_all_that_is_known_of_the_end(mesh, provider):
    provider.backend.fails = True
    with pytest.raises(ServiceStartFailed) as caught:
        await mesh.provider("backed").start_service()
    error = caught.value
    assert (error.message, error.hint) == (FAILED.error, FAILED.hint)
    assert (error.metadata["exit_code"], error.metadata["out_of_memory"]) == ("137", "true")
    assert error.log_lines == LINES[-20:]
    status = await mesh.provider("backed").service_status()
    assert (status.state, status.exit_code, status.out_of_memory) == (ServiceState.FAILED, 137, True)
    with pytest.raises(ServiceStartFailed) as caught:
        await mesh.transform("hi", provider="backed")
    assert caught.value.log_lines == LINES[-20:]


async def test_what_the_machine_lacks_crosses_as_itself(mesh, provider):
    provider.backend.lacks = "DOCKER_STOPPED"
    for ask in (mesh.provider("backed").start_service(), mesh.transform("hi", provider="backed")):
        with pytest.raises(DockerStopped) as caught:
            await ask
        assert caught.value.hint == "systemctl start docker"
    provider.backend.lacks = ""
    assert (await mesh.transform("hi", provider="backed")).content == "HI"


async def test_a_status_has_last_lines_when_they_are_asked_for(mesh):
    handle = mesh.provider("backed")
    assert (await handle.service_status()).log_lines == ()
    assert (await handle.service_status(log_lines=3)).log_lines == LINES[-3:]
    status = await handle.service_status(log_lines=5000)
    assert status.log_lines == LINES
    [(_, own)] = status.instances
    assert own.log_lines == LINES


async def test_a_watch_tells_how_the_backend_is_now_and_what_becomes_of_it(mesh, provider):
    provider.backend.step = 0.15
    states, changes = [], mesh.watch(include_models=False)
    async with contextlib.aclosing(changes), asyncio.timeout(20):
        async for change in changes:
            if change.service is not None:
                states.append(change.service.status.state)
                assert change.service.provider_id == "backed"
                assert change.service.instance_id.startswith("backed-")
            if change.snapshot_complete:
                assert states == ["stopped"]
                starting = asyncio.create_task(mesh.provider("backed").start_service())
            if states[-1:] == ["ready"]:
                break
    await starting
    assert list(dict.fromkeys(states)) == ["stopped", "pulling", "starting", "loading", "ready"]


async def test_the_words_of_a_call_that_waits_come_as_events(mesh):
    async with mesh.stream("hi", provider="backed") as stream:
        phases = [event.phase async for event in stream if isinstance(event, automarket.events.Progress)]
        assert (await stream.result()).content == "HI"
    assert list(dict.fromkeys(phases)) == ["pulling", "starting", "loading", "running"]
    assert [stage.stage for stage in stream.report.stages] == ["queued", "starting", "running"]


async def test_a_call_for_a_capability_goes_where_nothing_has_to_be_started(here, mesh, provider):
    class Ready(Clock):
        id = "ready"

    async with serving(Ready(), here.control):

        async def goes_to(name):
            return (await mesh.model(capability="text-to-text")).provider_id == name

        await until_true(lambda: goes_to("ready"), what="the other one is there")
        for _ in range(10):
            assert await goes_to("ready")
        assert provider.backend.starts == 0
        assert (await mesh.transform("hi", provider="backed")).content == "HI"
        provider.backend.become(FAILED)
        await until_true(lambda: _is_known(mesh, ServiceState.FAILED))
        assert await goes_to("ready")
    await until_true(lambda: goes_to("backed"), what="the one that failed is tried all the same")


async def test_a_provider_that_cannot_run_here_is_a_failed_precondition_whoever_asks(here):
    boxed = Backed()
    models = [{"id": one.id, "capabilities": [{"name": "text-to-text"}]} for one in models_to_proto(boxed)]
    lacks = {"reason": "Docker is not installed", "hint": "apt install docker.io", "error_reason": "DOCKER_MISSING"}
    entry = {"id": "backed", "aliases": ["box"], "kind": "local", "available": False, **lacks, "models": models}
    known = here.folder / "known.json"
    known.write_text(json.dumps([entry]))
    async with here.running(known_providers=known), automarket.connect(here.public) as mesh:
        handle = mesh.provider("box")
        asking = (
            lambda: mesh.transform("hi", provider="box"),
            lambda: mesh.transform("hi", capability="text-to-text"),
            lambda: mesh.transform("hi", model="shout"),
            handle.start_service,
            handle.stop_service,
            handle.service_status,
            lambda: handle.configure(step=1),
        )
        for ask in asking:
            with pytest.raises(DockerMissing, match="Docker is not installed") as caught:
                await ask()
            assert caught.value.hint == "apt install docker.io"
        assert not await handle.is_available()
        info = await handle.info()
        assert info.availability.error_reason == "DOCKER_MISSING"
        assert info.capabilities == ("text-to-text",)
        assert [one.availability.available for one in await mesh.models()] == [False]
        assert await mesh.models(available_only=True) == []
        with pytest.raises(CapabilityUnknown):
            await mesh.transform("hi", capability="text-to-speech")
        with pytest.raises(ModelUnknown):
            await mesh.transform("hi", model="nobodys")
        async with serving(boxed, here.control):
            await until_true(handle.is_available, what="it is there")
            assert (await mesh.transform("hi", capability="text-to-text")).content == "HI"
        with pytest.raises(ProviderUnavailable):  # it has merely gone
            await mesh.transform("hi", provider="box")


async def test_the_client_without_async_does_the_same(here, mesh, provider):
    def script():
        with sync.connect(here.public) as same:
            handle = same.provider("box")
            assert handle.start_service(timeout=20).state == ServiceState.READY
            assert handle.service_status(log_lines=2).log_lines == LINES[-2:]
            assert handle.stop_service().state == STOPPED.state
            for change in same.watch(include_models=False):
                if change.service is not None:
                    return change.service
        raise AssertionError

    assert (await asyncio.to_thread(script)).provider_id == "backed"


async def test_ten_programs_that_call_at_once_start_one_backend(here, mesh, provider):
    provider.backend = provider._backend = Played(0.1)
    texts = await asyncio.gather(*(mesh.transform(f"call {n}", provider="box") for n in range(10)))
    assert [text.content for text in texts] == [f"CALL {n}" for n in range(10)]
    assert provider.backend.starts == 1
    assert provider.backend.latest == READY
