"""Processes that are killed, frozen, drained and restarted behind the public port."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time

import pytest

from automarket.errors import AutoMarketError, ModelUnknown, ProviderLost, UnavailableError
from automarket.rpc.channel import errors_mapped, open_channel
from automarket.rpc.streams import BidiCall
from automarket.v1 import discovery_service_pb2
from automarket.v1.discovery_service_pb2_grpc import DiscoveryServiceStub
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from gateway.relay.settings import RelaySettings
from gateway.relay.worker import serve
from tests.support.gateway import (
    Here,
    chunk,
    facts,
    header,
    resolved,
    transform,
    until,
    until_listening,
    until_served,
    until_true,
)

pytestmark = pytest.mark.slow


@pytest.fixture(params=[3, pytest.param(25, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
def rounds(request):
    return request.param


@contextlib.asynccontextmanager
async def running(processes, *peers, settle_seconds=5.0):
    processes.start_control(settle_seconds)
    processes.start_gateway()
    for provider_id in peers:
        processes.start_peer(provider_id)
    async with open_channel(processes.public) as channel:
        for provider_id in peers:
            await until_served(channel, provider=provider_id)
        yield channel


async def stream_until_lost(channel, do, chunks, begun):
    """Run a call that never ends by itself; give what ended it, and when."""
    call = ModelServiceStub(channel).Transform()
    async with BidiCall(call, header(do, provider="one"), chunks) as bidi:
        await call.initial_metadata()
        begun.set()
        with pytest.raises(AutoMarketError) as caught:
            async for _ in bidi.responses():
                pass
    return caught.value, time.monotonic()


async def upload():
    while True:
        yield chunk(b"x" * 200_000)
        await asyncio.sleep(0.005)


@pytest.mark.alone
@pytest.mark.parametrize(
    ("do", "chunks", "phase"),
    [("hang", None, "running"), ("wait", None, "before the first event"), ("echo", upload, "running")],
)
async def test_a_provider_that_is_killed_ends_its_calls_within_a_second_naming_provider_and_phase(
    processes, do, chunks, phase, rounds
):
    async with running(processes, "one", "two") as channel:
        for _ in range(rounds):
            begun = asyncio.Event()
            calls = [asyncio.create_task(stream_until_lost(channel, do, chunks and chunks(), begun)) for _ in range(3)]
            await begun.wait()
            await asyncio.sleep(0.3)
            killed = processes.kill("one-1")
            for error, when in await asyncio.gather(*calls):
                assert isinstance(error, ProviderLost)
                assert (error.metadata["provider"], error.metadata["phase"]) == ("one", phase)
                assert error.metadata["instance"] == "one-1"
                assert error.retry_after
                assert "one" in error.message
                assert phase in error.message
                assert when - killed < 1
            processes.start_peer("one")
            await until_served(channel, provider="one")


@pytest.mark.alone
async def test_a_provider_that_is_killed_is_out_of_rotation_within_a_second_and_calls_go_elsewhere(processes, rounds):
    async with running(processes, "one", "two") as channel:
        for _ in range(rounds):
            begun = processes.kill("one-1")
            answer = await transform(channel, header(capability_name="speech-to-text"))
            assert facts(answer[0])["peer"] == "two-1"
            while True:
                try:
                    assert await resolved(channel, provider="one") == "one-1"
                except UnavailableError:
                    break
            assert time.monotonic() - begun < 1
            with pytest.raises(UnavailableError) as caught:
                await transform(channel, header(provider="one"))
            assert caught.value.retry_after
            processes.start_peer("one")
            assert await until_served(channel, provider="one") == "one-1"


async def test_a_frozen_provider_is_noticed_and_calls_go_elsewhere(processes):
    async with running(processes, "one", "two") as channel:
        begun = asyncio.Event()
        call = asyncio.create_task(stream_until_lost(channel, "hang", None, begun))
        await begun.wait()
        frozen = processes.signal("one-1", signal.SIGSTOP)
        error, when = await asyncio.wait_for(call, 10)
        assert isinstance(error, ProviderLost)
        assert when - frozen < 5
        await asyncio.sleep(1)
        answer = await transform(channel, header(capability_name="speech-to-text"), timeout=5)
        assert facts(answer[0])["peer"] == "two-1"
        processes.signal("one-1", signal.SIGCONT)
        assert await until_served(channel, provider="one") == "one-1"


async def test_calls_go_on_while_control_is_dead_and_names_it_would_know_are_worth_asking_for_again(processes, rounds):
    async with running(processes, "one") as channel:
        with pytest.raises(ModelUnknown):  # settled
            while True:
                try:
                    await transform(channel, header(model="other"))
                except ModelUnknown:
                    raise
                except UnavailableError:
                    await asyncio.sleep(0.1)
        for _ in range(rounds):
            processes.kill("control")
            await asyncio.sleep(0.1)
            for _ in range(5):
                assert facts((await transform(channel, header(provider="one")))[0])["peer"] == "one-1"
            for target in ({"model": "other"}, {"provider": "other"}, {"capability_name": "other"}):
                with pytest.raises(UnavailableError) as caught:
                    await transform(channel, header(**target))
                assert caught.value.retry_after
            with pytest.raises(UnavailableError) as caught, errors_mapped():
                await DiscoveryServiceStub(channel).ListProviders(discovery_service_pb2.ListProvidersRequest())
            assert caught.value.retry_after

            processes.start_control()
            deadline = time.monotonic() + 10
            while True:  # not one call fails while control comes back
                assert facts((await transform(channel, header(provider="one")))[0])["peer"] == "one-1"
                with contextlib.suppress(AutoMarketError):
                    assert await resolved(channel, provider="one") == "one-1"
                    break
                assert time.monotonic() < deadline
            with pytest.raises(UnavailableError) as caught:  # just started: it may still register
                await transform(channel, header(model="other"))
            assert 0 < caught.value.retry_after <= 5


async def test_a_provider_that_dies_right_after_control_started_is_out_all_the_same(processes):
    async with running(processes, "one", "two", settle_seconds=60) as channel:
        processes.kill("one-1")
        await asyncio.sleep(0.5)
        for _ in range(5):
            answer = await transform(channel, header(capability_name="speech-to-text"))
            assert facts(answer[0])["peer"] == "two-1"


@pytest.mark.alone
async def test_control_that_stops_in_order_leaves_the_table_and_takes_providers_back(processes, rounds):
    async with running(processes, "one") as channel:
        for _ in range(rounds):
            begin = time.monotonic()
            assert processes.stop("control") == 0
            assert time.monotonic() - begin < 1.5
            assert facts((await transform(channel, header(provider="one")))[0])["peer"] == "one-1"
            processes.start_control()
            async with open_channel(processes.control) as private:
                assert await until_true(lambda private=private: resolved(private, provider="one"), 10) == "one-1"


async def test_a_gateway_that_starts_before_control_serves_when_control_comes(processes):
    processes.start_gateway()
    async with open_channel(processes.public) as channel:
        await asyncio.sleep(1)
        with pytest.raises(UnavailableError) as caught:
            await asyncio.wait_for(retried(lambda: transform(channel, header(model="words"))), 10)
        assert caught.value.retry_after
        processes.start_control()
        processes.start_peer("one")
        assert await until_served(channel, model="words") == "one-1"


async def retried(call):
    """Call until the server listens: until there is an error with a retry time."""
    while True:
        try:
            return await call()
        except AutoMarketError as error:
            if error.retry_after:
                raise
            await asyncio.sleep(0.1)


@pytest.mark.alone
async def test_a_client_that_is_killed_ends_the_work_of_the_provider(processes, rounds):
    async with running(processes, "one") as channel:
        for _ in range(rounds):
            before = len(processes.notes("one-1"))
            async with open_channel(processes.public) as other:
                call = ModelServiceStub(other).Transform()
                await call.write(header("hang", provider="one"))
                await call.read()
            begin = time.time()
            await until(lambda before=before: len(processes.notes("one-1")) == before + 2, 2)
            when, what = processes.notes("one-1")[-1]
            assert what.endswith("hang")
            assert when - begin < 0.5
        assert await until_served(channel, provider="one")


async def test_a_provider_that_does_not_read_holds_the_caller_back_and_not_memory(processes):
    async with running(processes, "one") as channel:
        sent = 0

        async def much():
            nonlocal sent
            while sent < 400:
                yield chunk(bytes(1024 * 1024))
                sent += 1

        before = processes.peak_mebibytes("gateway")
        call = ModelServiceStub(channel).Transform()
        async with BidiCall(call, header("hang", provider="one"), much()) as bidi:
            await anext(bidi.responses())
            await asyncio.sleep(2)
            assert sent < 50
            assert processes.peak_mebibytes("gateway") - before < 40


async def test_memory_stays_flat_whatever_flows(processes):
    async def much(count):
        for _ in range(count):
            yield chunk(bytes(1024 * 1024))

    async with running(processes, "one") as channel:
        peaks = []
        for count in (64, 512):
            call = ModelServiceStub(channel).Transform()
            async with BidiCall(call, header("echo", provider="one"), much(count)) as bidi:
                got = [len(response.event.output_chunk.data) async for response in bidi.responses()]
            assert sum(got) == count * 1024 * 1024
            peaks.append(processes.peak_mebibytes("gateway"))
        assert peaks[1] < 150
        assert peaks[1] - peaks[0] < 25


async def test_a_caller_that_does_not_read_holds_the_provider_back_and_not_memory(processes):
    async def much():
        for _ in range(400):
            yield chunk(bytes(1024 * 1024))

    async with running(processes, "one") as channel:
        before = processes.peak_mebibytes("gateway")
        call = ModelServiceStub(channel).Transform()
        async with BidiCall(call, header("echo", provider="one"), much()) as bidi:
            await anext(bidi.responses())
            await asyncio.sleep(2)
            assert processes.peak_mebibytes("gateway") - before < 40


async def test_a_worker_beside_others_takes_calls_only_once_it_knows_a_way_for_them(short_dir):
    here, stop = Here(short_dir, tcp=True), asyncio.Event()
    settings = RelaySettings(listen=here.public, routes=here.routes, reuse_port=True, drain_seconds=0.1)
    worker = asyncio.create_task(serve(settings, stop))
    with pytest.raises(AssertionError, match="nobody listens"):
        await until_listening(here.public, timeout=0.5)
    async with here.running_control():
        await until_listening(here.public)
        async with open_channel(here.public) as channel:
            with pytest.raises(ModelUnknown):
                await transform(channel, header(model="none"))
    stop.set()
    await worker
