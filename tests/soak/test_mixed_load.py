"""One worker under everything at once, for long: nothing may grow.

AUTOMARKET_SOAK_SECONDS sets the length; `python -m bench.soak_plot` draws the samples.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import automarket
from automarket.errors import AutoMarketError, DeadlineExceeded, UnavailableError
from automarket.rpc.channel import open_channel
from tests.support.gateway import chunk, header, transform
from tests.support.load import ask, echo, peer_running
from tests.support.mesh import mesh_running, wait_until
from tests.support.samples import descriptors, sampling

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WORKER = "gateway.relay"
SECONDS = float(os.environ.get("AUTOMARKET_SOAK_SECONDS", "900"))
CSV = Path(__file__).resolve().parent.parent.parent / ".cache" / "soak" / "worker.csv"
MIB = 1024 * 1024
LARGE = 64

pytestmark = [pytest.mark.soak, pytest.mark.timeout(SECONDS + 300)]


@dataclass(slots=True)
class Tally:
    """How many calls of each kind came to the end that they were to have, and every end that was another."""

    ended: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def total(self) -> int:
        return sum(self.ended.values())

    async def keep(self, kind: str, call: Callable[[], Awaitable[object]], *expected: type[AutoMarketError]) -> None:
        """Make calls of one kind until cancelled; errors that are expected are good ends, too."""
        while True:
            try:
                await call()
            except expected:
                await asyncio.sleep(0.05)
            except AutoMarketError as error:
                self.wrong.append(f"{kind}: {type(error).__name__}: {error}")
                await asyncio.sleep(0.05)
            self.ended[kind] = self.ended.get(kind, 0) + 1


async def large_echo(channel) -> None:
    """Send 64 MiB in chunks of 1 MiB and get them back at the same time."""
    block = random.randbytes(MIB)

    async def chunks():
        for number in range(LARGE):
            yield chunk(number.to_bytes(8, "big") + block[8:])

    responses = await transform(channel, header(provider="one"), chunks=chunks(), timeout=120)
    back = [one.event.output_chunk.data for one in responses if one.event.HasField("output_chunk")]
    assert back == [number.to_bytes(8, "big") + block[8:] for number in range(LARGE)]
    await asyncio.sleep(1)


async def store_and_fetch(mesh, folder) -> None:
    """Put 64 MiB into the store, get them back and delete them."""
    source, back = folder / "source", folder / "back"
    block = random.randbytes(MIB)
    source.write_bytes(b"".join(number.to_bytes(8, "big") + block[8:] for number in range(LARGE)))
    stored = await mesh.assets.put(source)
    await mesh.assets.get(stored.digest, back)  # it checks the digest
    await mesh.assets.delete(stored.digest)
    back.unlink()
    await asyncio.sleep(1)


async def cancelled(address) -> None:
    """Connect, begin a call, and leave it at any moment."""

    async def endless():
        while True:
            yield chunk(bytes(200_000))
            await asyncio.sleep(0.01)

    async with open_channel(address) as channel:
        chunks = endless() if random.random() < 0.5 else None
        call = asyncio.create_task(transform(channel, header("hang", provider="one"), chunks=chunks))
        try:
            await asyncio.wait({call}, timeout=random.uniform(0, 0.3))
        finally:
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)


async def out_of_time(channel) -> None:
    """Make a call that takes longer than it may."""
    await transform(channel, header("hang", provider="one"), timeout=random.uniform(0.01, 0.4))
    raise AssertionError("the call ended well")


async def killed_now_and_then(running) -> None:
    """Keep a second provider running, which is killed every few seconds."""
    while True:
        async with peer_running(running, "two") as process:
            await asyncio.sleep(random.uniform(5, 15))
            process.kill()
            await process.wait()
        await asyncio.sleep(1)


async def test_a_worker_under_mixed_load_keeps_its_memory_and_its_descriptors(short_dir, tmp_path):
    tally = Tally()
    async with (
        mesh_running(short_dir, "ffmpeg") as running,
        peer_running(running),
        contextlib.AsyncExitStack() as stack,
    ):
        pid = running.pid_of(WORKER)
        before = descriptors(pid)
        mesh = await stack.enter_async_context(automarket.connect(running.address))

        async def connection():
            return await stack.enter_async_context(open_channel(running.address))

        async with asyncio.TaskGroup() as tasks, sampling(pid, tally.total) as samples:
            begun = [
                tasks.create_task(work)
                for work in [
                    *[tally.keep("unary", unary(await connection())) for _ in range(4)],
                    *[tally.keep("tokens", tokens(await connection(), "one")) for _ in range(6)],
                    tally.keep("tokens of the killed", tokens(await connection(), "two"), UnavailableError),
                    tally.keep("64 MiB through a model", large(await connection())),
                    tally.keep("64 MiB into the store and back", lambda: store_and_fetch(mesh, tmp_path)),
                    *[tally.keep("cancelled", lambda: cancelled(running.address)) for _ in range(2)],
                    tally.keep("out of time", late(await connection()), DeadlineExceeded),
                    killed_now_and_then(running),
                ]
            ]
            await asyncio.sleep(SECONDS)
            for task in begun:
                task.cancel()
        samples.write(CSV)
        await stack.aclose()
        # Connections to providers are kept for half a minute after their last call.
        took = await asyncio.to_thread(wait_until, lambda: descriptors(pid) <= before + 5, 60, "descriptors are closed")
    report(tally, samples, took)


def unary(channel):
    async def call():
        await ask(channel, "one")
        await asyncio.sleep(0.02)

    return call


def tokens(channel, provider):
    return lambda: echo(channel, provider, count=200, pause=0.005)


def large(channel):
    return lambda: large_echo(channel)


def late(channel):
    return lambda: out_of_time(channel)


def report(tally, samples, took):
    """Say what there was, and compare the second minute with the last."""
    begin, window = min(60.0, SECONDS / 5), min(60.0, SECONDS / 5)
    early, late_ = samples.medians(begin, begin + window), samples.medians(SECONDS - window, SECONDS)
    sys.stdout.write(
        f"\n{tally.ended}\nmemory {early[0]:.1f} -> {late_[0]:.1f} MiB, descriptors {early[1]:.0f} -> {late_[1]:.0f}, "
        f"all closed {took:.0f} s after the end\n"
    )
    assert not tally.wrong, tally.wrong[:10]
    assert late_[0] - early[0] < 4, "memory grew"
    assert abs(late_[1] - early[1]) <= 6, "descriptors grew"
