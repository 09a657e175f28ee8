"""Large inputs go to the provider itself; where that does not work, they come through the gateway as before."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import asynccontextmanager

import pytest
from opentelemetry import trace

import automarket
from automarket import AssetLoader
from automarket.client import events as e
from automarket.client.direct import CONNECT_SECONDS
from automarket.errors import CallCancelled, DeadlineExceeded, MediaInvalid, ProviderLost, ProviderUnavailable
from provider_servers.runtime.serve import ProviderServer
from tests.client.conftest import Gateway, running_gateway, until_complete
from tests.client.taker import Taker, make_wav
from tests.support.cutting_proxy import CuttingProxy
from tests.support.gateway import until_true
from tests.support.mesh import free_port

MIB = 1024 * 1024
TAKER = "tests.client.taker:Taker"
SMALL = 2 * MIB  # what everything but its 64 MiB has to stay below


@asynccontextmanager
async def watched(gateway: Gateway, **settings):
    """Connect through a proxy that counts what goes to the gateway and what comes from it."""
    proxy = CuttingProxy(gateway.address, 1 << 62)
    async with proxy.running() as address, automarket.connect(address, **settings) as mesh:
        yield mesh, proxy


@pytest.fixture(scope="module")
def two_takers():
    with running_gateway(TAKER, TAKER, public=f"127.0.0.1:{free_port()}") as gateway:
        asyncio.run(until_complete(gateway.address, {"taker"}))
        asyncio.run(instances(gateway, 2))
        yield gateway


@pytest.fixture
def fresh_takers():
    """Give two takers that a test may kill."""
    with running_gateway(TAKER, TAKER, public=f"127.0.0.1:{free_port()}") as gateway:
        asyncio.run(until_complete(gateway.address, {"taker"}))
        asyncio.run(instances(gateway, 2))
        yield gateway


@pytest.fixture(scope="module")
def hidden_taker():
    with running_gateway(TAKER, public=f"127.0.0.1:{free_port()}", hidden=True) as gateway:
        asyncio.run(until_complete(gateway.address, {"taker"}))
        yield gateway


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return AssetLoader.load(make_wav(tmp_path_factory.mktemp("sound") / "sound.wav", 64 * MIB))


async def instances(gateway, count):
    """Wait until so many instances of the only provider are there."""
    async with automarket.connect(gateway.address) as mesh:

        async def there():
            return len((await mesh.providers())[0].instances) == count

        await until_true(there, 20, what=f"{count} instances")


async def measured(mesh, source, model="measure", **options):
    text = await mesh.transform(source, model=model, store=False, **options)
    return json.loads(text.content)


async def test_the_gateway_moves_no_byte_of_a_large_input(two_takers, sound):
    async with watched(two_takers) as (mesh, proxy):
        facts = await measured(mesh, sound)
    assert (facts["size"], facts["digest"]) == (64 * MIB, sound.digest)
    assert proxy.passed < 100_000


async def test_the_gateway_moves_all_of_it_where_direct_calls_are_off(two_takers, sound):
    async with watched(two_takers, direct_above=None) as (mesh, proxy):
        facts = await measured(mesh, sound)
    assert facts["digest"] == sound.digest
    assert proxy.passed > 64 * MIB


async def test_what_is_not_larger_than_the_bound_goes_through_the_gateway(two_takers, tmp_path):
    exact = make_wav(tmp_path / "exact.wav", 4 * MIB)
    larger = make_wav(tmp_path / "larger.wav", 4 * MIB + 1)
    async with watched(two_takers, direct_above=4 * MIB) as (mesh, proxy):
        assert (await measured(mesh, exact))["size"] == 4 * MIB
        assert proxy.passed > 4 * MIB
        before = proxy.passed
        assert (await measured(mesh, larger))["size"] == 4 * MIB + 1
        assert proxy.passed - before < 100_000


async def test_an_instance_that_is_killed_on_the_way_costs_time_and_nothing_else(fresh_takers, sound, tmp_path):
    marker = tmp_path / "died"
    async with watched(fresh_takers) as (mesh, proxy):
        facts = await measured(mesh, sound, die_at=8 * MIB, marker=str(marker))
    assert facts["digest"] == sound.digest
    assert proxy.passed > 64 * MIB, "it came through the gateway"
    assert int(marker.read_text()) != facts["pid"]


async def test_what_may_not_run_twice_is_not_run_twice(fresh_takers, sound, tmp_path):
    async with watched(fresh_takers) as (mesh, proxy):
        with pytest.raises(ProviderLost) as caught:
            await measured(mesh, sound, "measure-once", die_at=8 * MIB, marker=str(tmp_path / "died"))
    assert proxy.passed < SMALL
    told = caught.value.metadata
    assert (told["provider"], told["model"], told["phase"]) == ("taker", "measure-once", "before the first event")
    assert caught.value.retry_after


async def test_what_was_read_and_is_gone_is_not_sent_again(fresh_takers, sound, tmp_path):
    async def live():
        async for piece in sound.chunks():
            yield piece

    async with watched(fresh_takers, direct_above=0) as (mesh, _):
        with pytest.raises(ProviderLost):
            await measured(mesh, live(), die_at=8 * MIB, marker=str(tmp_path / "died"))


async def test_an_address_that_is_not_here_is_left_out(hidden_taker, sound):
    async with watched(hidden_taker) as (mesh, proxy):
        assert (await mesh.resolve(model="measure")).addresses == ("unix:0",)
        assert (await measured(mesh, sound))["digest"] == sound.digest
    assert proxy.passed > 64 * MIB


async def test_an_address_where_nobody_listens_any_more_is_left_out(hidden_taker, sound, short_dir, monkeypatch):
    monkeypatch.chdir(short_dir)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind("0")
    async with watched(hidden_taker) as (mesh, proxy):
        assert (await measured(mesh, sound))["digest"] == sound.digest
    assert proxy.passed > 64 * MIB


async def test_who_takes_a_connection_and_says_nothing_is_left_alone_for_a_while(
    hidden_taker, sound, short_dir, monkeypatch
):
    monkeypatch.chdir(short_dir)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind("0")
        silent.listen()
        async with watched(hidden_taker) as (mesh, _):
            begin = time.monotonic()
            assert (await measured(mesh, sound))["digest"] == sound.digest
            assert time.monotonic() - begin > CONNECT_SECONDS
            silent.settimeout(1)
            silent.accept()[0].close()
            assert (await measured(mesh, sound))["digest"] == sound.digest
            with pytest.raises(TimeoutError):
                silent.accept()


async def test_another_instance_at_the_address_does_not_get_the_call(hidden_taker, sound, short_dir, monkeypatch):
    monkeypatch.chdir(short_dir)
    other = ProviderServer(Taker(), ["unix:0"])
    await other.start()
    try:
        async with watched(hidden_taker) as (mesh, proxy):
            assert (await measured(mesh, sound))["pid"] == hidden_taker.providers[0].pid
        assert proxy.passed > 64 * MIB
    finally:
        await other.stop(0)


async def test_where_every_instance_is_gone_the_gateway_says_so(fresh_takers, sound):
    for process in fresh_takers.providers:
        process.kill()
    async with watched(fresh_takers) as (mesh, _):
        with pytest.raises((ProviderUnavailable, ProviderLost)):
            await measured(mesh, sound)


async def test_errors_come_back_as_they_are(two_takers, sound):
    async with watched(two_takers) as (mesh, proxy):
        with pytest.raises(MediaInvalid, match="it is broken"):
            await measured(mesh, sound, do="break")
    assert proxy.passed < SMALL, "it was not tried again"


async def test_a_deadline_ends_a_direct_call_at_both_ends(two_takers, sound):
    async with watched(two_takers) as (mesh, _):
        for _ in range(3):
            with pytest.raises(DeadlineExceeded):
                await measured(mesh, sound, do="wait", timeout=0.5)
        await until_idle(mesh)


async def test_a_cancel_ends_a_direct_call_at_both_ends(two_takers, sound):
    async with watched(two_takers) as (mesh, _):
        for _ in range(3):
            stream = mesh.stream(sound, model="measure", do="wait", store=False)
            async for event in stream:
                if isinstance(event, e.TextDelta):
                    break
            await stream.aclose()
        await until_idle(mesh)


async def until_idle(mesh):
    async def idle():
        return not any(one.active_calls for one in (await mesh.providers())[0].instances)

    await until_true(idle, 1, what="no call is under way")


async def test_a_direct_call_names_itself_its_trace_and_its_choice(place):
    context = trace.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(context)):
        async with automarket.connect(place.address, direct_above=0) as mesh:
            stream = mesh.stream("hi", model="echo", timeout=30)
            await stream.result()
    (call,) = place.calls
    assert call.target.instance_id, "it came directly"
    assert call.metadata["automarket-resolved-model"] == "echo"
    assert call.metadata["automarket-resolved-provider"] == "toy"
    assert call.metadata["automarket-request-id"] == call.header.request_id == stream.request_id
    assert f"{0xABC:032x}" in call.metadata["traceparent"]
    assert 0 < call.seconds_left <= 30.5


async def test_what_is_not_large_is_not_resolved(place):
    async with automarket.connect(place.address) as mesh:
        await mesh.transform("hi", model="echo")
    assert not place.calls[0].target.instance_id


async def test_a_mesh_that_is_closed_ends_its_direct_calls(two_takers, sound):
    async with watched(two_takers) as (mesh, _):
        stream = mesh.stream(sound, model="measure", do="wait", store=False)
        async for event in stream:
            if isinstance(event, e.TextDelta):
                break
        await mesh.close()
        with pytest.raises(CallCancelled):
            await stream.result()


def test_the_synchronous_twin_takes_the_same_setting(two_takers, sound):
    with automarket.sync.connect(two_takers.address, direct_above=0) as mesh:
        text = mesh.transform(sound, model="measure", store=False)
    assert json.loads(text.content)["digest"] == sound.digest
