"""Calls of every kind at once, as a process: python -m tests.soak.mixed_load ADDRESS FOLDER SECONDS.

Every second it prints how many calls of each kind came to the end that they were to have, and every end that was
another, as a JSON line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import automarket
from automarket.errors import AutoMarketError, DeadlineExceeded, UnavailableError
from automarket.rpc.channel import open_channel
from tests.support.gateway import chunk, header, transform
from tests.support.load import ask, echo

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MIB = 1024 * 1024
LARGE = 64  # MiB


@dataclass(slots=True)
class Tally:
    """What became of the calls."""

    ended: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def total(self) -> int:
        return sum(self.ended.values())

    async def keep(self, kind: str, call: Callable[[], Awaitable[object]], *expected: type[AutoMarketError]) -> None:
        """Make calls of one kind until cancelled; errors that are expected are good ends, too."""
        while not is_cancelled():
            try:
                await call()
            except expected:
                await asyncio.sleep(0.05)
            except AutoMarketError as error:
                if is_cancelled():  # a cancel may show as the call's own status
                    break
                self.wrong.append(f"{kind}: {type(error).__name__}: {error}")
                await asyncio.sleep(0.05)
            self.ended[kind] = self.ended.get(kind, 0) + 1

    async def print(self) -> None:
        """Print itself every second."""
        while True:
            await asyncio.sleep(1)
            sys.stdout.write(json.dumps(asdict(self)) + "\n")
            sys.stdout.flush()


def is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def numbered_blocks():
    """Give 64 MiB in blocks of 1 MiB that differ."""
    block = random.randbytes(MIB)
    return (number.to_bytes(8, "big") + block[8:] for number in range(LARGE))


async def large_echo(channel) -> None:
    """Send 64 MiB in chunks of 1 MiB and get them back at the same time."""
    blocks = list(numbered_blocks())

    async def chunks():
        for block in blocks:
            yield chunk(block)

    responses = await transform(channel, header(provider="one"), chunks=chunks(), timeout=120)
    assert [one.event.output_chunk.data for one in responses if one.event.HasField("output_chunk")] == blocks
    await asyncio.sleep(1)


async def store_and_fetch(mesh, folder) -> None:
    """Put 64 MiB into the store, get them back and delete them.

    An upload whose connection is lost goes on where it was: that costs what was on its way, and not the whole.
    """
    source, back = folder / "source", folder / "back"
    source.write_bytes(b"".join(numbered_blocks()))
    stored = await mesh.assets.put(source)
    if not LARGE * MIB <= stored.bytes_sent < LARGE * MIB * 5 // 4:
        raise AssertionError(f"{stored.bytes_sent} bytes were sent")
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


async def unary(channel) -> None:
    await ask(channel, "one")
    await asyncio.sleep(0.02)


async def tokens(channel, provider) -> None:
    await echo(channel, provider, count=200, pause=0.005)


async def run(address: str, folder: Path, seconds: float) -> None:
    """Make all of them until the time is over; a wrong answer ends it at once."""
    tally = Tally()
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        # Every byte through the worker, although the store's folder is here.
        mesh = await stack.enter_async_context(automarket.connect(address, direct_above=None))

        async def keep(kind, call, *expected):
            channel = await stack.enter_async_context(open_channel(address))
            return tasks.create_task(tally.keep(kind, lambda: call(channel), *expected))

        begun = [await keep("unary", unary) for _ in range(4)]
        begun += [await keep("tokens", lambda channel: tokens(channel, "one")) for _ in range(6)]
        begun += [
            await keep("tokens of the killed", lambda channel: tokens(channel, "two"), UnavailableError),
            await keep("64 MiB through a model", large_echo),
            await keep("64 MiB into the store and back", lambda _: store_and_fetch(mesh, folder)),
            *[await keep("cancelled", lambda _: cancelled(address)) for _ in range(2)],
            await keep("out of time", out_of_time, DeadlineExceeded),
            tasks.create_task(tally.print()),
        ]
        await asyncio.sleep(seconds)
        for task in begun:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])))
