"""What the lineage of an output remembers of the call: its options and its cost, and what is known of what it made."""

from __future__ import annotations

import json

from automarket import secrets
from automarket.stored import Lineage, lineage_from_proto, lineage_to_proto
from automarket.v1 import transform_pb2
from provider_servers.runtime import Generated, Media, Usage
from provider_servers.runtime.remembered import MAX_OPTIONS_BYTES, Cost, shown_options
from tests.provider_servers.runtime.bench import Bench, call, first
from tests.provider_servers.runtime.conftest import joined


class Painter(Bench):
    """Says what a tone cost and which seed it had."""

    async def transform(self, call):
        async for event in super().transform(call):
            if isinstance(event, Media):
                yield Usage("call", 1, cost=0.25, currency="USD")
                yield Usage("second", 2, cost=0.5, currency="USD")
                yield Media(
                    event.name,
                    event.media_type,
                    event.source,
                    generated=Generated(7, flagged=False, safety_flags=("loud",), vendor_request_id="v-1"),
                )
                return
            yield event


async def test_lineage_holds_options_and_cost_and_the_event_what_was_generated(store, assets):
    async with joined(store, provider=Painter()) as served:
        events = await call(served.channel, first(model="tone", breath=True))
        [made] = [event.output_finished for event in events if event.HasField("output_finished")]
        lineage = (await assets.stat(made.digest)).lineage
        assert lineage.options == {"speed": 1, "breath": True}
        assert (lineage.cost, lineage.currency) == (0.75, "USD")
        generated = made.generated_media
        assert (generated.seed, generated.HasField("flagged"), generated.flagged) == (7, True, False)
        assert (list(generated.safety_flags), generated.vendor_request_id) == (["loud"], "v-1")


def test_lineage_survives_its_message():
    lineage = Lineage("image-to-video", options={"fps": 25, "seed": str(2**60), "on": True}, cost=0.0, currency="EUR")
    assert lineage_from_proto(lineage_to_proto(lineage)) == lineage
    unknown = Lineage("cast")
    assert lineage_from_proto(lineage_to_proto(unknown)) == unknown


def test_remembered_options_are_small_and_hold_no_secret():
    secrets.hide("very-secret-value")
    shown = shown_options(
        {"prompt": "x" * 9000, "api_key": "k", "note": "a very-secret-value", "seed": 2**60, "parts": [{"size": 2**54}]}
    )
    assert len(shown["prompt"]) == 500
    assert (shown["api_key"], shown["note"]) == ("[hidden]", "a [hidden]")
    assert (shown["seed"], shown["parts"]) == (str(2**60), [{"size": str(2**54)}])
    many = {f"part{number}": [str(number)] * 900 for number in range(4)} | {"seed": 1}
    shown = shown_options(many)
    assert shown["seed"] == 1
    assert len(json.dumps(shown).encode()) <= MAX_OPTIONS_BYTES


def test_a_cost_of_which_a_part_is_unknown_is_unknown():
    cost = Cost()
    assert (cost.total, cost.currency) == (None, "")
    cost.add(transform_pb2.Usage(cost=1, currency="USD"))
    assert (cost.total, cost.currency) == (1, "USD")
    for part in (transform_pb2.Usage(cost=1, currency="EUR"), transform_pb2.Usage(cost=1, currency="USD")):
        cost.add(part)
        assert (cost.total, cost.currency) == (None, "")
