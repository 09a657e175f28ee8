"""Places and the line before them, as callers and the registry see them."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from automarket.errors import HeaderRepeated, ProviderBusy
from automarket.v1 import discovery_service_pb2
from automarket.v1.discovery_service_pb2_grpc import DiscoveryServiceStub
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from provider_servers.runtime.testing import chunk, serving
from tests.provider_servers.runtime.bench import Bench, call, first, kinds, told
from tests.support.gateway import Here, until, until_true


@contextlib.asynccontextmanager
async def waiting(served, count):
    """Have calls under way, begun one after another; those beyond two wait in line."""
    calls = []
    try:
        for number in range(count):
            calls.append(asyncio.create_task(call(served.channel, first(f"call {number}", do="wait"))))
            await until(lambda number=number: served.server.active_calls == number + 1, what="the call is there")
        await until(lambda: len(served.provider.order) == min(count, 2), what="the places are taken")
        yield calls
    finally:
        for task in calls:
            task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await until(lambda: served.server.active_calls == 0, 1, "all places are free")


async def test_calls_are_served_in_the_order_in_which_they_came(bench):
    async with waiting(bench, 5) as calls:
        bench.provider.gate.set()
        await asyncio.gather(*calls)
        assert bench.provider.order == [f"call {number}" for number in range(5)]


async def test_a_call_that_waits_is_told_how_many_are_ahead_and_is_not_accepted_before_its_turn(bench, monkeypatch):
    monkeypatch.setattr("provider_servers.runtime.run.SILENCE_SECONDS", 0.1)
    async with waiting(bench, 4) as calls:
        await asyncio.sleep(0.5)
        bench.provider.gate.set()
        events = await calls[3]
        before = [event.progress for event in events[: kinds(events).index("accepted")]]
        assert len(before) >= 3, "silence in the line is broken too"
        assert {progress.phase for progress in before} <= {"queued", "casting"}
        assert next(progress.message for progress in before if progress.message) == "queued, 1 ahead"
        assert [stage.stage for stage in events[-1].finished.stages] == ["queued", "running"]
        assert events[-1].finished.stages[0].elapsed.ToTimedelta().total_seconds() > 0.4


async def test_one_call_too_many_is_refused_with_a_time_to_try_again(bench):
    async with waiting(bench, 5):
        with pytest.raises(ProviderBusy) as caught:
            await call(bench.channel, first())
        assert caught.value.retry_after
    bench.provider.gate.set()
    assert told(await call(bench.channel, first(do="wait")))["do"] == "wait"


async def test_a_cancel_in_the_line_lets_the_others_move_up(bench):
    async with waiting(bench, 2):
        for _ in range(25):
            leaving = asyncio.create_task(call(bench.channel, first("leaving", do="wait")))
            await until(lambda: bench.server.active_calls == 3)
            staying = asyncio.create_task(call(bench.channel, first("staying", do="wait")))
            await until(lambda: bench.server.active_calls == 4)
            for task in (leaving, staying):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await until(lambda: bench.server.active_calls == 2, 0.5)
        assert bench.provider.order == ["call 0", "call 1"]


async def test_a_place_that_comes_at_the_moment_of_a_cancel_is_handed_on(bench):
    for _ in range(25):
        bench.provider.order.clear()
        async with waiting(bench, 4) as calls:
            calls[0].cancel()
            calls[2].cancel()
            await until(lambda: "call 3" in bench.provider.order, 1, "the last one gets a place")


async def test_a_fault_in_the_stream_of_a_call_that_waits_ends_it_at_once(bench):
    async def faulty():
        yield chunk(b"some")
        yield first()

    async with waiting(bench, 2):
        with pytest.raises(HeaderRepeated):
            await asyncio.wait_for(call(bench.channel, first(b"some"), faulty()), 3)


async def test_the_deadline_of_a_call_that_waits_frees_the_line(bench):
    async with waiting(bench, 2):
        for _ in range(5):
            made = ModelServiceStub(bench.channel).Transform(timeout=0.1)
            await made.write(first())
            assert (await made.code()).name == "DEADLINE_EXCEEDED"
            await until(lambda: bench.server.active_calls == 2, 0.5)


async def test_the_registry_hears_of_the_load(short_dir):
    here = Here(short_dir)
    async with here.running_control() as control, serving(Bench(), here.control) as served:

        async def is_load(*wanted):
            request = discovery_service_pb2.ListProvidersRequest()
            providers = (await DiscoveryServiceStub(control).ListProviders(request)).providers
            return [(one.active_calls, one.queued_calls) for one in providers[0].instances] == [wanted]

        async def there():
            return (
                await DiscoveryServiceStub(control).ListProviders(discovery_service_pb2.ListProvidersRequest())
            ).providers

        await until_true(there, what="it has registered")
        async with waiting(served, 3):
            await until_true(lambda: is_load(2, 1), 2, "three calls")
        await until_true(lambda: is_load(0, 0), 2, "no call")
