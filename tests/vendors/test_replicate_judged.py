"""What Replicate's own SDK makes of the stand-in for Replicate."""

from __future__ import annotations

import json

import pytest

from tests.vendors.http import FakeServer
from tests.vendors.judging import told
from tests.vendors.replicate import CREDIT, NO_MEMORY, NSFW, REFUSALS, Replicate
from tests.vendors.replicate_models import FLUX
from tests.vendors.said import KEY, TEXT, TOKENS

KITE = json.dumps({"prompt": "a red kite"})


async def judged(*asked, fake=None, key=KEY):
    fake = fake or Replicate(starting=0.05, processing=0.1)
    server = FakeServer(fake.handle)
    async with server.serving():
        said = await told("replicate", server.url, [list(one) for one in asked], key)
    return fake, [said[" ".join(map(str, one))] for one in asked]


async def test_a_prediction_goes_through_its_states_and_ends_with_files():
    two = json.dumps({"prompt": "a red kite", "num_outputs": 2, "output_format": "png"})
    fake, (ok, many) = await judged(("run", "acme/ok", KITE), ("run", "black-forest-labs/flux-schnell", two))
    assert ok["states"] == ["starting", "processing", "succeeded"]
    assert [one.rpartition(".")[2] for one in ok["output"]] == ["png"]
    assert ok["metrics"] == {"predict_time": 2.5, "total_time": 3.4}
    assert "4/4" in ok["logs"]
    assert len(many["output"]) == 2
    assert fake.submits == [ok["id"], many["id"]]


async def test_an_official_model_and_one_that_tells():
    told_by = json.dumps({"prompt": "tell"})
    _, (official, llama) = await judged(
        ("official", "black-forest-labs/flux-schnell", KITE), ("official", "meta/meta-llama-3-8b-instruct", told_by)
    )
    assert official["output"][0].endswith(".webp")
    assert "".join(llama["output"]) == TEXT


async def test_what_is_said_comes_as_it_is_said():
    _, (well, cut, error) = await judged(
        ("stream", "acme/says-well"), ("stream", "acme/says-cut"), ("stream", "acme/says-error")
    )
    assert well["pieces"] == list(TOKENS)
    assert well["last"] == ["done", "{}"]
    assert cut["pieces"] == list(TOKENS[:5])
    assert (error["error"], NO_MEMORY in error["said"]) == ("RuntimeError", True)


async def test_predictions_that_end_badly():
    _, (fails, nsfw, empty, removed, aborted) = await judged(
        *(("run", f"acme/{name}", KITE) for name in ("fails", "nsfw", "empty", "removed", "aborted"))
    )
    assert (fails["states"][-1], fails["error_said"]) == ("failed", NO_MEMORY)
    assert nsfw["error_said"] == NSFW
    assert empty["output"] == []
    assert (removed["states"][-1], removed["output"]) == ("succeeded", None)
    assert aborted["error"] == "ValidationError"  # the SDK does not know the state


async def test_a_cancel():
    fake, (slow, late) = await judged(("cancel", "acme/slow"), ("cancel", "acme/late-cancel"))
    assert slow == {"state": "canceled", "output": None}
    assert late["state"] == "succeeded"
    assert len(fake.cancels) == 2


async def test_schemas_files_and_lists():
    fake = Replicate(starting=0.0, processing=0.0)
    _, (schema, files, _, listed) = await judged(
        ("schema", "black-forest-labs/flux-schnell"), ("files",), ("many", 230), ("listed",), fake=fake
    )
    assert schema["order"] == list(FLUX)
    assert (files["name"], files["type"], files["size"], files["metadata"]) == ("a.txt", "text/plain", 8, {"n": 1})
    assert (files["before"], files["after"]) == (1, 0)
    assert listed == {"count": 230, "distinct": 230}


STATUSES = {
    "no-credit": 402,
    "forbidden": 403,
    "bad-version": 422,
    "throttled": 429,
    "throttled-text": 429,
    "broken": 500,
    "html-502": 502,
    "overloaded": 503,
}


async def test_every_refusal():
    given = json.dumps({"num_inference_steps": 9, "aspect_ratio": "7:1", "nonsense": 1})
    asked = [
        *(("run", f"acme/{name}", KITE) for name in REFUSALS),
        ("run", "acme/ok", given),
        ("run", "acme/none", KITE),
    ]
    fake, found = await judged(*asked)
    by_name = dict(zip([*REFUSALS, "invalid", "unknown"], found, strict=True))
    for name, status in STATUSES.items():
        assert (by_name[name]["error"], by_name[name]["status"]) == ("ReplicateError", status), by_name[name]
    assert CREDIT in by_name["no-credit"]["said"]
    assert by_name["dropped"]["error"] == "RemoteProtocolError"
    assert by_name["page"]["error"] == "JSONDecodeError"
    assert by_name["unknown"]["status"] == 404
    assert by_name["invalid"]["status"] == 422
    for said in ("- input: prompt is required", "Must be less than or equal to 4", "nonsense is not allowed"):
        assert said in by_name["invalid"]["said"]
    assert not fake.submits


async def test_an_answer_that_is_lost_was_paid_for():
    fake, (lost,) = await judged(("run", "acme/lost", KITE))
    assert lost["error"] == "RemoteProtocolError"
    assert len(fake.submits) == 1


@pytest.mark.parametrize("work", [("run", "acme/ok", KITE), ("files",)])
async def test_a_key_that_is_refused(work):
    _, (said,) = await judged(work, key="r8_wrong")
    assert (said["error"], said["status"]) == ("ReplicateError", 401)
