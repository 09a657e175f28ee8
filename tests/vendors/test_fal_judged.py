"""What fal.ai's own SDK makes of the stand-in for fal.ai."""

from __future__ import annotations

import json

from tests.vendors.fal import BALANCE, NO_USER, Fal
from tests.vendors.http import FakeServer
from tests.vendors.judging import told
from tests.vendors.said import KEY

DEV = "fal-ai/flux/dev"


def prompt(text):
    return json.dumps({"prompt": text})


async def judged(*asked, fake=None, key=KEY):
    fake = fake or Fal(queued=0.2, running=0.3)
    server = FakeServer(fake.handle)
    async with server.serving():
        said = await told("fal", server.url, [list(one) for one in asked], key)
    return fake, [said[" ".join(map(str, one))] for one in asked]


async def test_work_goes_through_its_states_and_ends_with_files():
    fake, (ok, back) = await judged(("run", DEV, prompt("a red kite")), ("run", DEV, prompt("back")))
    assert ok["states"] == ["Queued", "InProgress", "Completed"]
    assert ok["positions"] == sorted(ok["positions"], reverse=True)
    assert set(ok["positions"]) == {2, 1, 0}
    assert ok["logs"] == [f"step {number}/4" for number in range(1, 5)]
    assert ok["metrics"] == {"inference_time": 0.3}
    [image] = ok["result"]["images"]
    assert (image["width"], image["content_type"], ok["result"]["has_nsfw_concepts"]) == (320, "image/jpeg", [False])
    assert back["states"] == ["Queued", "InProgress", "Queued", "InProgress", "Completed"]
    assert fake.submits == [ok["id"], back["id"]]


async def test_work_that_fails_is_completed_with_an_error():
    _, (odd, timeout, late, only) = await judged(
        *(("run", DEV, prompt(name)) for name in ("error-422", "timeout", "late", "error-only"))
    )
    assert odd["states"][-1] == timeout["states"][-1] == "Completed"
    assert (odd["fault_type"], odd["error"], odd["status"]) == ("value_error", "FalClientHTTPError", 422)
    assert (timeout["status"], timeout["type"]) == (504, "generation_timeout")
    assert (late["status"], late["said"]) == (400, "Request is still in progress")
    assert only["fault"] == "The model failed."


async def test_every_refusal():
    names = ("balance", "payment", "forbidden", "rate", "runner", "internal", "string-422", "gone", "html-502")
    _, found = await judged(*(("run", DEV, prompt(name)) for name in names))
    said = dict(zip(names, found, strict=True))
    statuses = {name: one["status"] for name, one in said.items()}
    assert statuses == {
        "balance": 403, "payment": 402, "forbidden": 403, "rate": 429, "runner": 503, "internal": 500,
        "string-422": 422, "gone": 404, "html-502": 502,
    }  # fmt: skip
    assert said["balance"]["said"] == BALANCE
    assert said["runner"]["type"] == "runner_scheduling_failure"
    _, (invalid, unknown) = await judged(("run", DEV, json.dumps({"num_images": 9})), ("unknown", DEV))
    assert invalid["status"] == 422
    assert "field required" in invalid["said"]
    assert unknown["status"] == 404


async def test_a_key_that_is_refused():
    _, (refused,) = await judged(("run", DEV, prompt("a red kite")), key="wrong:key-0123456789")
    assert (refused["status"], refused["said"]) == (401, NO_USER)


async def test_cancels_in_all_their_forms():
    queued = ("cancel", DEV, prompt("a red kite"), 0.0)
    fake, (taken,) = await judged(queued, fake=Fal(queued=5))
    assert taken["cancelled"]
    assert taken["status"] == 499
    _, (asked, late) = await judged(
        ("cancel", DEV, prompt("slow"), 0.1), ("cancel", DEV, prompt("late-cancel"), 0.1), fake=Fal(0.0, 0.5)
    )
    assert (asked["cancelled"], asked["status"]) == (True, 499)
    assert late["result"]["images"]
    _, (done,) = await judged(("cancel", DEV, prompt("a red kite"), 0.5), fake=Fal(0.0, 0.1))
    assert (done["error"], done["status"]) == ("FalClientHTTPError", 400)
    assert len(fake.cancels) == 1


async def test_uploads_in_every_way():
    fake, found = await judged(("upload", "fal_v3", 1000), ("upload", "fal", 2000), ("upload", "fal_v3", 130_000))
    assert all(one["result"]["image"]["url"] for one in found), found
    sizes = [(stored.size, stored.parts) for stored in fake.storage.uploads.values()]
    assert sizes == [(1000, 1), (2000, 1), (130_000, 4)]
