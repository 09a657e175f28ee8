"""Providers with a backend: what a call says while it waits for it, and what the server tells of it."""

from __future__ import annotations

import asyncio
import time

import pytest

from automarket.errors import DockerMissing, DockerStopped, ProviderBusy, ServiceStartFailed
from automarket.rpc.channel import errors_mapped
from automarket.v1 import media_provider_service_pb2 as pb
from automarket.v1.media_provider_service_pb2_grpc import MediaProviderServiceStub
from provider_servers.runtime import Availability, ServiceState, ServiceStatus, describe, runs_in_docker, waiting
from provider_servers.runtime.testing import CHECKS, Sample, serving
from tests.support.backed import FAILED, LINES, READY, Backed, Played
from tests.support.gateway import until

HELLO = Sample({"text": "hello"})


@pytest.fixture
async def served():
    async with serving(Backed()) as server:
        yield server


def phases(events):
    return [event.progress.phase for event in events if event.HasField("progress")]


def stub(served):
    return MediaProviderServiceStub(served.channel)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_a_provider_with_a_backend_keeps_the_contract(check):
    async with serving(Backed()) as served:
        await check(served, HELLO)


async def test_the_backend_is_opened_and_closed_with_its_provider():
    provider = Backed()
    async with serving(provider):
        assert provider.backend.is_open
    assert not provider.backend.is_open


async def test_a_call_says_what_it_waits_for_and_is_accepted_when_the_backend_is_ready(served):
    events = await served.run(HELLO)
    kinds = [event.WhichOneof("event") for event in events]
    assert phases(events) == ["pulling", "pulling", "starting", "loading", "loading", "running"]
    assert kinds.index("accepted") == 5, kinds
    assert events[0].progress.message == "pulling image 25 %"
    assert events[0].progress.fraction == 0.25
    assert not events[2].progress.HasField("fraction")
    stages = {one.stage: one.elapsed.ToMilliseconds() for one in events[-1].finished.stages}
    assert list(stages) == ["queued", "starting", "running"]
    assert stages["starting"] >= 70
    again = await served.run(HELLO)
    assert phases(again) == ["running"]
    assert [one.stage for one in again[-1].finished.stages] == ["queued", "running"]
    assert served.provider.backend.starts == 1


def test_every_state_that_is_not_nearly_ready_waits_as_starting():
    said = {state: waiting(ServiceStatus(state)).phase for state in ServiceState}
    assert {state for state, phase in said.items() if phase == "pulling"} == {"pulling"}
    assert {state for state, phase in said.items() if phase == "loading"} == {"loading", "ready", "busy", "idle"}


async def test_ten_at_once_start_one_backend_and_hear_something_at_once_and_every_second():
    provider = Backed(Played(0.8))
    async with serving(provider) as served:
        gaps, words = [], []

        def first():
            message = served.header(HELLO)
            message.header.inputs[0].inline = b"hello"
            return message

        async def follow():
            before = time.monotonic()
            async for event in served.stream(first()):
                gaps.append(time.monotonic() - before)
                before = time.monotonic()
                words.append(event.progress.message)

        await asyncio.gather(*(follow() for _ in range(10)))
        assert provider.backend.starts == 1
        assert max(gaps) < 1.3, gaps
        assert "queued, 0 ahead; pulling image 75 %" in words, "those in line hear what everybody waits for"


async def test_a_caller_who_goes_away_is_free_at_once_and_the_start_goes_on():
    provider = Backed(Played(0.3))
    async with serving(provider) as served:
        for _ in range(5):
            task = asyncio.create_task(served.run(HELLO))
            await asyncio.sleep(0.05)
            begin = time.monotonic()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await until(lambda: not served.server.active_calls)
            assert time.monotonic() - begin < 0.5
        await served.run(HELLO)
        assert provider.backend.starts == 1


async def test_a_start_that_fails_ends_the_call_with_the_last_words_of_the_backend(served):
    served.provider.backend.fails = True
    with pytest.raises(ServiceStartFailed, match="ran out of memory") as caught:
        await served.run(HELLO)
    assert caught.value.log_lines == LINES[-20:]
    served.provider.backend.fails = False
    assert (await served.run(HELLO))[-1].HasField("finished"), "the next call mends it"


@pytest.mark.parametrize("reason", ["DOCKER_MISSING", "DOCKER_STOPPED", "GPU_MISSING", "PORT_TAKEN", "IMAGE_UNKNOWN"])
async def test_what_the_machine_lacks_ends_a_call_and_a_start_as_itself(served, reason):
    served.provider.backend.lacks = reason
    for work in (served.run(HELLO), start(served)):
        with pytest.raises(Exception, match="does not answer") as caught:
            await work
        assert (caught.value.reason, caught.value.hint) == (reason, "systemctl start docker")


async def start(served):
    with errors_mapped():
        return [one async for one in stub(served).StartService(pb.StartServiceRequest())]


async def test_a_start_streams_its_states_and_its_failure_says_all_that_is_known(served):
    states = await start(served)
    assert [one.status.state for one in states][-3:] == [
        pb.SERVICE_STATE_STARTING,
        pb.SERVICE_STATE_LOADING,
        pb.SERVICE_STATE_READY,
    ]
    assert states[-1].status.managed
    assert (await stub(served).StopService(pb.StopServiceRequest())).status.state == pb.SERVICE_STATE_STOPPED
    served.provider.backend.fails = True
    with pytest.raises(ServiceStartFailed) as caught:
        await start(served)
    error = caught.value
    assert (error.message, error.hint) == (FAILED.error, FAILED.hint)
    assert (error.metadata["exit_code"], error.metadata["out_of_memory"]) == ("137", "true")
    assert error.log_lines == LINES[-20:]


@pytest.mark.parametrize(("asked", "given"), [(0, 0), (5, 5), (2000, 40), (-1, 0)])
async def test_a_status_has_as_many_last_lines_as_were_asked_for(served, asked, given):
    answer = await stub(served).GetServiceStatus(pb.GetServiceStatusRequest(log_line_count=asked))
    assert list(answer.status.log_lines) == list(LINES[40 - given :])


async def test_a_call_that_finds_the_line_full_is_refused_while_the_backend_starts():
    provider = Backed(Played(0.2))
    async with serving(provider) as served:
        calls = [asyncio.create_task(served.run(HELLO)) for _ in range(18)]
        await until(lambda: served.server.active_calls == 18)
        with pytest.raises(ProviderBusy):
            await served.run(HELLO)
        assert all(events[-1].HasField("finished") for events in await asyncio.gather(*calls))
        assert provider.backend.starts == 1


async def test_a_watch_that_fails_begins_anew(monkeypatch):
    monkeypatch.setattr("provider_servers.runtime.watching.AGAIN_SECONDS", 0.05)
    provider, tries = Backed(), []
    watch = provider.watch_service

    async def failing():
        tries.append(1)
        if len(tries) < 3:
            raise RuntimeError
        async for status in watch():
            yield status

    provider.watch_service = failing
    async with serving(provider) as served:
        provider.backend.become(READY)
        await until(lambda: served.server._host.service == READY)
    assert len(tries) == 3


async def test_a_provider_without_a_backend_watches_nothing():
    class Plain(describe.Provider):
        id = name = "plain"

        def models(self):
            return ()

        def transform(self, call):
            raise NotImplementedError

    assert [status async for status in Plain().watch_service()] == []
    Plain().models_changed()  # nobody is to be told


def test_what_is_lacking_is_said_in_the_words_of_the_error():
    said = Availability.lacking(DockerMissing("Docker is not installed", hint="apt install docker.io"))
    assert said == Availability(
        available=False, reason="Docker is not installed", hint="apt install docker.io", error_reason="DOCKER_MISSING"
    )


def test_a_backend_runs_in_docker_or_somewhere_else_already(monkeypatch):
    def stopped():
        raise DockerStopped("Docker's engine does not answer", hint="systemctl start docker")

    monkeypatch.setattr("automarket.docker_check.check_docker", stopped)
    assert runs_in_docker("http://elsewhere:9000").available
    said = runs_in_docker()
    assert (said.available, said.error_reason, said.hint) == (False, "DOCKER_STOPPED", "systemctl start docker")
    monkeypatch.setattr("automarket.docker_check.check_docker", lambda: None)
    monkeypatch.setattr("automarket.docker_check.compose_command", lambda: ["docker", "compose"])
    assert runs_in_docker().available
    monkeypatch.setattr("provider_servers.runtime.backed.find_spec", lambda _: None)
    assert runs_in_docker().hint == "pip install 'automarket[docker]'"
