"""Cancelling closes the vendor's connection at once, and who does not read holds the vendor back."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, suppress

import pytest

from automarket.errors import DeadlineExceeded
from tests.provider_servers.chat.asking import VENDORS, talking_to
from tests.vendors.said import TEXT

pytestmark = pytest.mark.parametrize("vendor", VENDORS)
ROUNDS = 25


async def until(condition, seconds=5.0):
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds, f"not within {seconds} s"
        await asyncio.sleep(0.002)


@pytest.mark.alone
@pytest.mark.parametrize("scenario", ["slow", "stalled-before"])
async def test_a_cancel_closes_the_vendors_connection_within_a_tenth_of_a_second(vendor, scenario):
    waits = []
    async with talking_to(vendor) as asked:
        for number in range(ROUNDS):
            task = asyncio.create_task(asked.ask(scenario))
            await until(lambda number=number: len(asked.fake.posts) > number)
            await asyncio.sleep(0.02)  # it waits for the next token
            begin = time.monotonic()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await until(lambda number=number: len(asked.fake.dropped) > number)
            waits.append(asked.fake.dropped[-1] - begin)
        assert (await asked.ask("ok")).text == TEXT
    assert sorted(waits)[ROUNDS * 9 // 10] < 0.1, waits  # the rest is for a machine that does other things
    assert max(waits) < 1, waits


async def test_a_deadline_closes_the_vendors_connection(vendor):
    async with talking_to(vendor) as asked:
        with pytest.raises(DeadlineExceeded):
            async for _ in asked.served.stream(asked.first("slow"), timeout=0.3):
                pass
        await until(lambda: asked.fake.dropped, 1)


async def test_who_does_not_read_holds_the_vendor_back(vendor):
    async with talking_to(vendor) as asked:
        async with aclosing(asked.served.stream(asked.first("flood"))) as events:
            async for event in events:
                if event.HasField("text_delta"):
                    break
            sent = -1
            while sent != asked.fake.sent:  # until the vendor can write no more
                sent = asked.fake.sent
                await asyncio.sleep(0.3)
        assert sent < 64 * 1024 * 1024, f"{sent:,} bytes of 480 million are on their way to nobody"
        await until(lambda: asked.fake.dropped, 1)
