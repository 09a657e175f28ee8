"""Inputs follow one another on the wire; an author reads them in the order that suits the model."""

from __future__ import annotations

import asyncio

import pytest

from provider_servers.runtime import Model, Output, Provider, Role, Slot, TextDelta
from provider_servers.runtime.testing import Sample, chunks_of, serving

LONG = {"one": "1 one " * 100_000, "two": "2 two " * 100_000, "three": "3 three " * 100_000}


class Reader(Provider):
    """Says which texts it has read, in the order in which it read them."""

    id = "reader"
    name = "reader"

    def __init__(self, order):
        self.order = order

    def models(self):
        slots = tuple(Slot(name, Role.TEXT) for name in LONG)
        return (Model("reader", ("text-to-text",), slots, (Output("text", Role.TEXT),)),)

    async def transform(self, call):
        if self.order == "at once":
            texts = dict(zip(LONG, await asyncio.gather(*(call.input(name).text() for name in LONG)), strict=True))
        else:
            texts = {name: await call.input(name).text() for name in self.order}
        for name, text in texts.items():
            assert text == LONG[name]
            yield TextDelta((name + " ",))


def said(events):
    return "".join(token for event in events for token in event.text_delta.tokens).split()


@pytest.mark.parametrize(
    "order", [("one", "two", "three"), ("three", "two", "one"), ("two", "one", "three"), ("three", "one"), ("two",)]
)
async def test_inputs_are_read_in_any_order(order):
    async with serving(Reader(order)) as served:
        assert said(await served.run(Sample(LONG))) == list(order)


async def test_inputs_are_read_at_the_same_time():
    async with serving(Reader("at once")) as served:
        for _ in range(25):
            assert said(await served.run(Sample(LONG))) == list(LONG)


async def test_slots_are_filled_in_any_order_by_name():
    sample = Sample({"three": LONG["three"], "one": LONG["one"], "two": LONG["two"]})
    async with serving(Reader(("one", "two", "three"))) as served:
        events = await served.transform(served.header(sample), chunks_of(sample))
        assert said(events) == ["one", "two", "three"]
