"""Joining a mesh, coming back to it, and leaving it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest

from automarket.errors import AutoMarketError, InstanceReplaced, RegistrationInvalid
from automarket.rpc.channel import open_channel
from automarket.v1 import discovery_service_pb2
from automarket.v1 import media_provider_service_pb2 as pb
from automarket.v1.discovery_service_pb2_grpc import DiscoveryServiceStub
from provider_servers.runtime.serve import ProviderServer
from provider_servers.runtime.testing import serving
from tests.provider_servers.runtime.bench import ROOT, Bench, Unfit, call, first, kinds, told
from tests.support.backed import FAILED, READY, Backed
from tests.support.gateway import Here, until, until_true

MODULE = "tests.provider_servers.runtime.bench"


async def listed(control):
    """Give what control knows of the bench: None, or its instances."""
    answer = await DiscoveryServiceStub(control).ListProviders(discovery_service_pb2.ListProvidersRequest())
    return next((list(provider.instances) for provider in answer.providers if provider.id == "bench"), None)


@asynccontextmanager
async def process(folder, *, name="Bench", registry="", grace=10):
    """Run a provider server as a process."""
    address = f"unix:{folder}/process.sock"
    command = [sys.executable, "-P", "-m", "provider_servers.runtime", f"{MODULE}:{name}", "--listen", address]
    command += ["--registry", registry] if registry else []
    command += ["--grace-seconds", str(grace)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    try:
        yield running, address
    finally:
        if running.poll() is None:
            running.kill()
        running.stderr.close()
        running.wait(5)


async def ended(running, seconds=15):
    await until(lambda: running.poll() is not None, seconds, "the process ends")
    return running.returncode, running.stderr.read().decode()


async def test_a_server_registers_and_says_goodbye_without_a_trace(short_dir):
    here = Here(short_dir)
    async with here.running_control() as control:
        async with serving(Bench(), here.control) as served:
            await until_true(lambda: listed(control), what="it registers")
            [instance] = await listed(control)
            assert instance.instance_id == served.server.describe().instance_id
            assert instance.max_concurrent_calls == 2
        assert await listed(control) is None


async def test_a_server_comes_back_when_control_does(short_dir):
    here = Here(short_dir)
    async with serving(Bench(), here.control):
        for _ in range(3):
            async with here.running_control() as control:
                await until_true(lambda control=control: listed(control), what="it registers again")


async def test_a_control_that_comes_back_hears_of_the_load_and_of_the_leaving(short_dir):
    here = Here(short_dir)
    async with serving(Bench(), here.control) as served:
        async with here.running_control() as control:
            await until_true(lambda: listed(control), what="it registers")
            busy = asyncio.create_task(call(served.channel, first(do="wait")))
            await until(lambda: served.server.active_calls == 1)
            leaving = asyncio.create_task(served.server.stop(20))
            await asyncio.sleep(0.3)
        async with here.running_control() as control:

            async def seen():
                instances = await listed(control)
                return instances and instances[0].draining and instances[0].active_calls == 1

            await until_true(seen, what="it comes back as one that leaves")
            served.provider.gate.set()
            assert kinds(await busy)[-1] == "finished"
            await leaving
            assert await listed(control) is None


async def test_an_instance_that_was_replaced_does_not_come_back(short_dir):
    here = Here(short_dir)
    servers = []
    async with here.running_control() as control:
        for number in range(2):
            server = ProviderServer(Bench(), [f"unix:{short_dir}/{number}.sock"], [here.control], instance_id="same")
            await server.start()
            servers.append(server)
            await until_true(lambda: listed(control), what="it registers")
            await asyncio.sleep(0.01)
        with pytest.raises(InstanceReplaced):
            await asyncio.wait_for(servers[0].wait(asyncio.Event()), 5)
        assert len(await listed(control)) == 1
        for server in servers:
            await server.stop(0)


async def test_a_registration_that_is_refused_ends_the_server(short_dir):
    here = Here(short_dir)
    async with here.running_control(), serving(Unfit(), here.control) as served:
        with pytest.raises(RegistrationInvalid) as caught:
            await asyncio.wait_for(served.server.wait(asyncio.Event()), 5)
        assert "registration.provider.id" in caught.value.fields


async def test_a_registration_that_is_refused_ends_the_process_with_a_sentence(short_dir):
    here = Here(short_dir)
    async with here.running_control(), process(short_dir, name="Unfit", registry=here.control) as (running, _):
        code, words = await ended(running)
        assert code == 1
        assert "Not An Id" in words
        assert "Traceback" not in words


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["bench"], 2, "provider: listen: "),
        (["no-such-provider", "--listen", "unix:/tmp/x.sock"], 1, "no provider 'no-such-provider' is installed"),
        (["no.such.module:It", "--listen", "unix:/tmp/x.sock"], 1, "does not load"),
        ([f"{MODULE}:Nobody", "--listen", "unix:/tmp/x.sock"], 1, "does not load"),
        ([f"{MODULE}:Bench", "--listen", f"unix:{ROOT}/pyproject.toml"], 1, "it is not a socket"),
        ([f"{MODULE}:Bench", "--listen", "0.0.0.0:0"], 1, "nothing there is encrypted"),
    ],
)
def test_a_server_that_cannot_run_says_why_in_a_sentence(arguments, code, sentence):
    command = [sys.executable, "-P", "-m", "provider_servers.runtime", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == code, ran.stderr
    assert sentence in ran.stderr
    assert "Traceback" not in ran.stderr


async def test_sigterm_lets_a_call_finish_and_takes_no_new_one(short_dir):
    here = Here(short_dir)
    async with (
        here.running_control() as control,
        process(short_dir, registry=here.control) as (running, address),
        open_channel(address) as channel,
    ):
        await until_true(lambda: listed(control), 20, "it registers")
        busy = asyncio.create_task(call(channel, first(do="nap")))
        await asyncio.sleep(0.3)
        running.send_signal(signal.SIGTERM)

        async def leaves():
            instances = await listed(control)
            return not instances or instances[0].draining

        await until_true(leaves, 2, "control knows")
        assert told(await busy)["do"] == "nap"
        assert (await ended(running))[0] == 0
        assert await listed(control) is None


async def test_a_server_that_was_killed_is_still_known_by_name(short_dir):
    here = Here(short_dir)
    async with here.running_control() as control, process(short_dir, registry=here.control) as (running, _):
        await until_true(lambda: listed(control), 20, "it registers")
        running.kill()

        async def lost():
            return await listed(control) == []

        await until_true(lost, what="it is known to be gone")


async def test_sigterm_ends_a_call_that_outlasts_the_grace(short_dir):
    async with process(short_dir, grace=0.2) as (running, address), open_channel(address) as channel:
        await until_true(lambda: call(channel, first()), 20, "it serves")
        busy = asyncio.create_task(call(channel, first(do="wait")))
        await asyncio.sleep(0.2)
        running.send_signal(signal.SIGTERM)
        assert (await ended(running, 5))[0] == 0
        with pytest.raises(AutoMarketError):
            await busy


@asynccontextmanager
async def watching(control):
    """Collect what control says of backends and models."""
    told, models = [], set()

    async def follow():
        request = discovery_service_pb2.WatchRequest(include_models=True)
        async for change in DiscoveryServiceStub(control).Watch(request):
            if change.HasField("service"):
                told.append(change.service.status)
            if change.HasField("model"):
                models.add(change.model.id)
            models.discard(change.model_removed.model_id)

    following = asyncio.create_task(follow())
    try:
        yield told, models
    finally:
        following.cancel()
        await asyncio.wait([following])


class Hesitating(Backed):
    """Takes its time to look for its backend."""

    async def watch_service(self):
        await asyncio.sleep(60)
        yield READY


async def test_what_was_not_looked_for_yet_is_not_said_to_run(short_dir):
    here = Here(short_dir)
    async with here.running_control() as control, serving(Hesitating(), here.control) as served:
        said = served.server.describe()
        assert said.service.state == pb.SERVICE_STATE_ABSENT
        asked = discovery_service_pb2.ListProvidersRequest()
        await until_true(lambda: DiscoveryServiceStub(control).ListProviders(asked))
    async with serving(Bench()) as served:
        assert not served.server.describe().HasField("service")


async def test_the_mesh_hears_how_a_backend_is_also_after_control_came_back(short_dir):
    here = Here(short_dir)
    provider = Backed()
    async with serving(provider, here.control):
        async with here.running_control() as control, watching(control) as (told, _):
            await until(lambda: told and told[-1].state == pb.SERVICE_STATE_STOPPED)
            provider.backend.become(FAILED)
            await until(lambda: told[-1].state == pb.SERVICE_STATE_FAILED)
            assert (told[-1].exit_code, told[-1].out_of_memory, len(told[-1].log_lines)) == (137, True, 20)
        async with here.running_control() as control, watching(control) as (told, _):
            await until(lambda: told and told[-1].state == pb.SERVICE_STATE_FAILED)
            provider.backend.become(READY)
            await until(lambda: told[-1].state == pb.SERVICE_STATE_READY)
            assert told[-1].managed


async def test_the_mesh_hears_that_models_have_changed_also_while_control_was_away(short_dir):
    here = Here(short_dir)
    provider = Backed()
    async with serving(provider, here.control):
        async with here.running_control() as control, watching(control) as (_, models):
            await until(lambda: models == {"shout"})
            provider.configure({"more": ["whisper-it", "sing"]})
            await until(lambda: models == {"shout", "whisper-it", "sing"})
            provider.configure({"more": ["sing"]})
            await until(lambda: models == {"shout", "sing"})
        provider.configure({"more": ["hum"]})
        async with here.running_control() as control, watching(control) as (_, models):
            await until(lambda: models == {"shout", "hum"})
