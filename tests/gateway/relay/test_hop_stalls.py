"""Four providers behind one connection of a client: one that stalls leaves the other three their speed."""

from __future__ import annotations

import asyncio
import signal
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.gateway import asking, stock_channel, until_raw_served
from tests.support.raw_peer import GET_MODEL, TRANSFORM, piece, tally_of
from tests.support.routes_tap import RoutesTap

pytestmark = [pytest.mark.slow, pytest.mark.alone]

NAMES = ("one", "two", "three", "four")
CHUNK = piece(0, 256 * 1024)
MIB = 1024 * 1024
# What one connection of a client may have queued in the gateway, and what the process may grow by with it.
QUEUED_MIB = 12
GROWN_MIB = 32
UPLOADS = 8
UPLOAD = [CHUNK] * 16


@pytest.fixture(
    params=[
        pytest.param((5, 0.5, 0.6), id="short"),
        pytest.param((15, 1.5, 0.85), id="long", marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
    ]
)
def measure(request):
    """Give how many rounds there are, how many seconds each half of a round lasts, and the ratio that is wanted."""
    return request.param


@dataclass(frozen=True, slots=True)
class Four:
    """A client's channel to four providers, and what the gateway reports."""

    channel: Any
    tap: RoutesTap

    async def tell(self, do):
        """Tell the fourth provider something."""
        await self.channel.unary_unary(GET_MODEL)(b"", metadata=asking(do, provider="four"))


@pytest.fixture
async def four(processes):
    processes.start_control(settle_seconds=0)
    tap = RoutesTap(f"{processes.folder}/tap.sock", processes.routes.removeprefix("unix:"))
    async with tap.running(), stock_channel(processes.public) as channel:
        processes.start_gateway(f"unix:{processes.folder}/tap.sock")
        for name in NAMES:
            processes.start_raw_peer(name)
        for name in NAMES:
            await until_raw_served(channel, provider=name)
        yield Four(channel, tap)


async def speed(channel, seconds):
    """Echo with three providers at once for some time; give the bytes a second of all of them."""
    end = time.monotonic() + seconds
    got = 0

    async def echo(name):
        nonlocal got
        call = channel.stream_stream(TRANSFORM)(metadata=asking("echo", provider=name))

        async def send():
            while time.monotonic() < end:
                await call.write(CHUNK)
            await call.done_writing()

        sending = asyncio.create_task(send())
        async for message in call:
            got += len(message)
        await sending

    begin = time.monotonic()
    await asyncio.gather(*(echo(name) for name in NAMES[:3]))
    return got / (time.monotonic() - begin)


async def upload(channel, do):
    """Upload to the fourth provider; give its last answer."""
    call = channel.stream_stream(TRANSFORM)(metadata=asking(do, provider="four"))

    async def send():
        for chunk in UPLOAD:
            await call.write(chunk)
        await call.done_writing()

    sending = asyncio.create_task(send())
    answers = [message async for message in call]
    await sending
    return answers[-1]


async def ratios(channel, measure, stall, go_on, do):
    """Measure the three with the fourth idle and with it stalled, in turn; give the ratios."""
    rounds, seconds, _ = measure
    found = []
    await speed(channel, seconds)
    for number in range(rounds):
        measured = {}
        for stalled in (False, True) if number % 2 else (True, False):
            if stalled:
                await stall()
                uploads = [asyncio.create_task(upload(channel, do)) for _ in range(UPLOADS)]
            measured[stalled] = await speed(channel, seconds)
            if stalled:
                assert not any(one.done() for one in uploads)
                await go_on()
                assert set(await asyncio.wait_for(asyncio.gather(*uploads), 30)) == {tally_of(UPLOAD)}
        found.append(measured[True] / measured[False])
    return found


@pytest.fixture
def judge(measure, processes, four, capsys):
    """Give what compares and says what was found."""

    async def compare(found, before, how):
        grown = processes.peak_mebibytes("gateway") - before
        queued = (await four.tap.report())["queued_bytes_most"] / MIB
        median, least, most = statistics.median(found), min(found), max(found)
        with capsys.disabled():
            sys.stdout.write(
                f"\nwith {how}: {median:.2f} of the speed ({least:.2f} to {most:.2f}), "
                f"{queued:.1f} MiB queued at most, {grown:.1f} MiB more memory\n"
            )
        assert median >= measure[2]
        assert queued < QUEUED_MIB
        assert grown < GROWN_MIB
        assert (await four.tap.report())["queued_bytes"] == 0

    return compare


async def test_a_provider_whose_app_does_not_read_leaves_the_others_their_speed(processes, four, measure, judge):
    async def stall():
        await four.tell("seize")

    async def go_on():
        await four.tell("release")

    await stall()
    await speed(four.channel, 0.5)
    before = processes.mebibytes("gateway")
    found = await ratios(four.channel, measure, stall, go_on, "deaf")
    await judge(found, before, "an app that does not read")


async def test_a_provider_that_is_stopped_leaves_the_others_their_speed_and_goes_on_after(
    processes, four, measure, judge
):
    async def stall():
        processes.signal("four-1", signal.SIGSTOP)

    async def go_on():
        processes.signal("four-1", signal.SIGCONT)

    await speed(four.channel, 0.5)
    before = processes.mebibytes("gateway")
    found = await ratios(four.channel, measure, stall, go_on, "sink")
    await judge(found, before, "a stopped process")
