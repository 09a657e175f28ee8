"""A provider that is killed at any moment of a call: another one answers if that is safe, else the caller is told."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time

import grpc
import grpc.aio
import pytest

from automarket.rpc.status import details_of, from_status
from tests.support.gateway import asking, stock_channel, until_raw_served
from tests.support.raw_peer import GENERATE, GET_MODEL, TRANSFORM, piece, tally_of

pytestmark = pytest.mark.slow

KIB = 1024
# What a relay keeps of a call's requests to send them again is 1 MiB at most.
UPLOAD = [piece(number, 50 * KIB) for number in range(16)]
MOMENTS = ["headers", "message", "upload"]


@pytest.fixture(params=[3, pytest.param(100, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def rounds(request):
    return range(request.param)


@contextlib.asynccontextmanager
async def two(processes, *, replay_safe, second="one"):
    """Run two instances: of one provider, or of two providers of the same model."""
    processes.start_control(settle_seconds=0)
    processes.start_gateway()
    instances = {"one-1": "one", f"{second}-2": second}
    async with stock_channel(processes.public) as channel:

        async def start(instance):
            processes.start_raw_peer(instances[instance], instance, replay_safe=replay_safe)
            await until_raw_served(channel, instance=instance, provider=instances[instance])

        for instance in instances:
            await start(instance)
        yield channel, start


def dying(processes, moment, number, do="sink", **target):
    """Make the metadata of a call at whose given moment the provider that has it ends itself, the first one only."""
    once = str(processes.folder / f"died-{number}")
    return asking(do, ("die-at", moment), ("die-once", once), ("count", "5"), ("size", "1000"), **target)


async def dead(processes):
    """Wait until an instance has died; give its name."""
    while True:
        for name in processes.names():
            if processes.is_over(name):
                return name
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("second", ["one", "two"], ids=["another instance", "another provider"])
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_call_that_may_be_replayed_succeeds_elsewhere_with_every_byte(processes, moment, second, rounds):
    async with two(processes, replay_safe=True, second=second) as (channel, start):
        for number in rounds:
            call = channel.stream_unary(TRANSFORM)(iter(UPLOAD), metadata=dying(processes, moment, number), timeout=10)
            assert await call == tally_of(UPLOAD)
            await start(await asyncio.wait_for(dead(processes), 5))


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
@pytest.mark.parametrize("moment", ["headers", "message"])
async def test_calls_with_one_request_are_replayed_too(processes, moment, kind, rounds):
    async with two(processes, replay_safe=True) as (channel, start):
        method = GET_MODEL if kind == "unary_unary" else GENERATE
        for number in rounds:
            call = getattr(channel, kind)(method)(UPLOAD[1], metadata=dying(processes, moment, number), timeout=10)
            got = [await call] if kind == "unary_unary" else [message async for message in call]
            assert got == [tally_of(UPLOAD[1:2])]
            await start(await asyncio.wait_for(dead(processes), 5))


async def test_a_provider_that_is_dead_when_the_call_comes_is_passed_over(processes, rounds):
    async with two(processes, replay_safe=False) as (channel, start):
        for _, instance in zip(rounds, itertools.cycle(["one-1", "one-2"]), strict=False):
            processes.kill(instance)
            calls = [channel.stream_unary(TRANSFORM)(iter(UPLOAD), metadata=asking("sink")) for _ in range(4)]
            assert set(await asyncio.gather(*calls)) == {tally_of(UPLOAD)}
            await start(instance)


async def lost(call):
    """Wait until a call has failed; give its error and the details that came with it."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(_to_the_end(call), 15)
    trailers = caught.value.trailing_metadata()
    assert details_of(trailers) is not None, caught.value
    return from_status(caught.value.code().value[0], caught.value.details() or "", details_of(trailers))


async def _to_the_end(call):
    if hasattr(call, "__aiter__"):
        return [message async for message in call]
    return await call


@pytest.mark.alone
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_call_that_may_not_be_replayed_is_unavailable_with_details_within_a_second(processes, moment, rounds):
    async with two(processes, replay_safe=False) as (channel, start):
        for number in rounds:
            died = asyncio.create_task(_time_of(dead(processes)))
            call = channel.stream_stream(TRANSFORM)(metadata=dying(processes, moment, number), timeout=10)
            sending = asyncio.create_task(_send(call))
            error = await lost(call)
            ended = time.monotonic()
            name, when = await asyncio.wait_for(died, 5)
            assert ended - when < 1
            assert error.code.name == "UNAVAILABLE"
            assert error.metadata["provider"] == "one"
            assert error.metadata["instance"] == name
            assert error.retry_after
            await asyncio.wait([sending])
            await start(name)


@pytest.mark.alone
async def test_a_call_that_has_had_an_answer_is_not_replayed(processes, rounds):
    async with two(processes, replay_safe=True) as (channel, start):
        for number in rounds:
            call = channel.unary_stream(GENERATE)(
                b"", metadata=dying(processes, "response", number, "flood"), timeout=10
            )
            begin = time.monotonic()
            error = await lost(call)
            assert time.monotonic() - begin < 1.5
            assert error.code.name == "UNAVAILABLE"
            assert error.metadata["provider"] == "one"
            await start(await asyncio.wait_for(dead(processes), 5))


@pytest.mark.alone
async def test_the_only_provider_that_is_killed_leaves_no_call_hanging(processes, rounds):
    processes.start_control(settle_seconds=0)
    processes.start_gateway()
    async with stock_channel(processes.public) as channel:
        for _ in rounds:
            processes.start_raw_peer("one", replay_safe=True)
            await until_raw_served(channel)
            calls = [
                channel.stream_stream(TRANSFORM)(metadata=asking(do)) for do in ("hang", "wait", "deaf", "sink") * 3
            ]
            for call in calls:
                await call.write(b"x")
            killed = asyncio.get_running_loop().time()
            processes.kill("one-1")
            errors = await asyncio.gather(*(lost(call) for call in calls))
            assert asyncio.get_running_loop().time() - killed < 2
            assert {error.code.name for error in errors} == {"UNAVAILABLE"}


async def _time_of(awaitable):
    return await awaitable, time.monotonic()


async def _send(call):
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        for data in UPLOAD:
            await call.write(data)
        await call.done_writing()
