"""What goes wrong at Replicate: every refusal, runs that fail, answers that are lost, cancels and crashes."""

from __future__ import annotations

import asyncio
import re

import pytest

from automarket.errors import (
    AutoMarketError,
    BackendFailed,
    ContentRefused,
    CreditExhausted,
    JobCancelled,
    JobCancelledLocally,
    ModelGone,
    OutcomeUnknown,
    OutputExpired,
    ProviderNotConfigured,
    RateLimited,
    VendorOverloaded,
)
from provider_servers.replicate.refusals import failed, read_refusal
from tests.provider_servers.replicate.asking import (
    CANCEL,
    CONTINUE,
    KEEP,
    LOSE,
    Call,
    bytes_of,
    progressing,
    shopping,
    submitted,
    submitting,
    text_of,
)
from tests.support.gateway import until
from tests.vendors.http import FakeServer, Reply, page
from tests.vendors.made import made
from tests.vendors.replicate import NSFW, Replicate, problem
from tests.vendors.said import KEY, TEXT

ROUNDS = pytest.mark.parametrize("round_", range(3))
PNG = {"format": {"container": "png"}}


@pytest.fixture
async def shop():
    async with shopping() as one:
        yield one


# What befalls a submit, the error, words of its message or hint, seconds to wait.
REFUSED = [
    ("no-credit", CreditExhausted, "replicate.com/account/billing", None),
    ("forbidden", ProviderNotConfigured, "do not have permission", None),
    ("throttled", RateLimited, "throttled", 7),
    ("throttled-text", RateLimited, "resets in", 30),
    ("bad-version", ModelGone, "does not exist", None),
]


@pytest.mark.parametrize(("scenario", "kind", "words", "wait"), REFUSED, ids=[one[0] for one in REFUSED])
async def test_every_refusal_of_a_submit_is_an_error_with_a_hint_and_costs_nothing(shop, scenario, kind, words, wait):
    with pytest.raises(kind) as caught:
        await Call(shop, f"acme/{scenario}").run()
    error = caught.value
    assert words in f"{error.message} {error.hint}"
    assert error.hint
    assert error.retry_after == wait
    assert (error.metadata["provider"], error.metadata["model"]) == ("replicate", f"acme/{scenario}")
    assert KEY not in f"{error.message}{error.hint}{error.metadata}"
    assert not shop.fake.submits


async def test_a_key_that_is_refused():
    fake = Replicate()
    async with shopping(fake) as shop:
        refusal = problem(401, "You did not pass a valid authentication token", "Unauthenticated")
        fake.instead.append(("POST", "/predictions", refusal))
        with pytest.raises(ProviderNotConfigured, match="refuses the key in REPLICATE_API_TOKEN") as caught:
            await Call(shop, "acme/ok").run()
        assert "https://replicate.com/account/api-tokens" in caught.value.hint


@pytest.mark.parametrize("scenario", ["broken", "overloaded", "html-502", "page", "dropped", "unlisted"])
async def test_an_answer_that_does_not_tell_whether_it_was_taken_is_no_reason_to_pay_twice(shop, scenario):
    with pytest.raises(OutcomeUnknown) as caught:
        await Call(shop, f"acme/{scenario}").run()
    posts = [one for one in shop.server.posts if one.path == "/v1/predictions"]
    assert len(posts) == 1
    assert len(shop.fake.submits) == (scenario == "unlisted")
    assert "Replicate's own list" in caught.value.hint


@ROUNDS
async def test_a_submit_whose_answer_was_lost_is_found_among_the_predictions(shop, round_):
    events = await Call(shop, "acme/lost", **PNG).run()
    assert bytes_of(events) == made("png")
    assert len(shop.fake.submits) == 1
    [listed] = shop.server.asked("/v1/predictions")[-1:]
    assert {"created_after", "created_before"} <= set(listed.query)


async def test_of_two_that_look_alike_none_is_taken(shop):
    with pytest.raises(OutcomeUnknown):
        await Call(shop, "acme/twins", seed=7).run()
    assert len(shop.fake.submits) == 2


async def test_one_that_is_somebody_elses_is_not_taken_for_a_lost_one(shop):
    await Call(shop, "acme/ok", seed=7).run()
    shop.fake.instead.append(("POST", "/predictions", Reply(never=True)))
    with pytest.raises(OutcomeUnknown):
        await Call(shop, "acme/ok", seed=7).run()
    assert len(shop.fake.submits) == 1


async def test_a_lost_submit_is_found_on_a_later_page(shop):
    shop.fake.stays = "starting"
    model = shop.fake.models["acme/ok"]
    begin = asyncio.create_task(Call(shop, "acme/lost", **PNG).run())
    await until(lambda: shop.fake.submits, what="the submit")
    for _ in range(230):
        shop.fake._take(model, {"prompt": "another"})
    shop.fake.stays = ""
    assert bytes_of(await begin) == made("png")


FAILED = [
    ("fails", BackendFailed, "CUDA out of memory"),
    ("fails-oddly", BackendFailed, "CUDA out of memory"),
    ("nsfw", ContentRefused, NSFW),
    ("sensitive", ContentRefused, "flagged as sensitive"),
    ("aborted", BackendFailed, "before it ran"),
    ("empty", BackendFailed, "still in progress"),
    ("removed", OutputExpired, "keeps for an hour"),
    ("expired", OutputExpired, "no longer there"),
]


@pytest.mark.parametrize(("scenario", "kind", "words"), FAILED, ids=[one[0] for one in FAILED])
async def test_a_run_that_fails_says_why_and_was_paid_for_once(shop, scenario, kind, words):
    with pytest.raises(kind) as caught:
        await Call(shop, f"acme/{scenario}").run()
    assert words in caught.value.message
    assert len(shop.fake.submits) == 1


@ROUNDS
async def test_polls_that_fail_are_waited_out(shop, round_):
    shop.fake.stays = "processing"
    call = asyncio.create_task(Call(shop, "acme/ok", **PNG).run())
    await until(lambda: shop.fake.submits, what="the submit")
    name = shop.fake.submits[0]
    throttled = problem(429, "Request was throttled. Your rate limit resets in ~0.01s.")
    faults = [page(502), problem(500, "no"), throttled, Reply(never=True), page(200), problem(503, "no")]
    shop.fake.instead.extend(("GET", name, fault) for fault in faults)
    await until(lambda: not shop.fake.instead, what="all faults were met")
    shop.fake.stays = ""
    assert bytes_of(await call) == made("png")
    assert len(shop.fake.submits) == 1


async def test_polls_that_fail_for_too_long_end_the_call_with_the_last_fault(shop):
    call = asyncio.create_task(Call(shop, "acme/slow").run())
    await until(lambda: shop.fake.submits, what="the submit")
    shop.fake.instead.extend(("GET", shop.fake.submits[0], problem(503, "busy")) for _ in range(500))
    with pytest.raises(VendorOverloaded, match="busy"):
        await call


async def test_a_prediction_that_the_vendor_forgets_is_lost(shop):
    call = asyncio.create_task(Call(shop, "acme/slow").run())
    await until(lambda: shop.fake.submits, what="the submit")
    shop.fake.predictions.clear()
    with pytest.raises(OutputExpired, match="no longer knows the work"):
        await call


async def test_a_download_that_breaks_is_gone_on_with(shop):
    shop.fake.instead.extend([("GET", "0.png", page(503)), ("GET", "0.png", Reply(never=True))])
    assert bytes_of(await Call(shop, "acme/ok", **PNG).run()) == made("png")


# --- cancel ---


@ROUNDS
@pytest.mark.parametrize("state", ["starting", "processing"])
async def test_a_cancel_reaches_the_vendor_in_every_state(shop, state, round_):
    shop.fake.stays = state
    call = Call(shop, "acme/ok")
    await call.run(KEEP, until=progressing("queued" if state == "starting" else "running"))
    assert not shop.fake.cancels
    with pytest.raises(JobCancelled, match="cancelled at Replicate"):
        await call.run(KEEP, CANCEL)
    assert shop.fake.cancels == shop.fake.submits
    shop.fake.stays = ""


@pytest.mark.parametrize("model", ["acme/ok", "acme/late-cancel"])
async def test_a_cancel_that_comes_too_late_gives_the_result(shop, model):
    call = Call(shop, model, **PNG)
    await call.run(KEEP, until=submitted)
    if model == "acme/ok":
        await asyncio.sleep(0.15)  # it ends meanwhile
    assert bytes_of(await call.run(KEEP, CANCEL)) == made("png")
    assert len(shop.fake.submits) == 1


async def test_a_cancel_before_anything_was_submitted_spends_nothing(shop):
    call = Call(shop, "acme/ok")
    await call.run(KEEP, until=submitting)
    with pytest.raises(OutcomeUnknown):
        await call.run(KEEP, CANCEL)
    assert not shop.fake.submits


async def test_a_cancel_of_what_the_vendor_does_not_know_is_local(shop):
    call = Call(shop, "acme/slow")
    await call.run(KEEP, until=submitted)
    shop.fake.predictions.clear()
    with pytest.raises(JobCancelledLocally):
        await call.run(KEEP, CANCEL)


async def test_a_cancel_that_was_made_elsewhere_ends_the_call(shop):
    call = asyncio.create_task(Call(shop, "acme/slow").run())
    await until(lambda: shop.fake.submits, what="the submit")
    shop.fake.predictions[shop.fake.submits[0]].cancelled = 0.0
    with pytest.raises(JobCancelled):
        await call


# --- coming back ---


@ROUNDS
@pytest.mark.parametrize("stage", ["submitted", "queued", "running", "downloading"])
async def test_a_call_that_was_lost_goes_on_from_every_stage_in_another_process(stage, round_):
    fake = Replicate(starting=0.03, processing=0.06)
    if stage in ("queued", "running"):
        fake.stays = {"queued": "starting", "running": "processing"}[stage]
    async with shopping(fake) as first:
        call = Call(first, "acme/ok", **PNG)
        await call.run(KEEP, until=submitted if stage == "submitted" else progressing(stage))
    fake.stays = ""
    async with shopping(fake) as second:
        call.shop = second
        events = await call.run(KEEP, CONTINUE)
    assert bytes_of(events) == made("png")
    assert len(fake.submits) == 1
    assert not fake.cancels


@ROUNDS
async def test_a_call_whose_process_died_within_the_submit_finds_it(round_):
    fake = Replicate(starting=0.03, processing=0.06, answers_late=5)
    async with shopping(fake) as first:
        call = Call(first, "acme/ok", **PNG)
        task = asyncio.create_task(call.run(KEEP))
        await until(lambda: fake.submits, what="the submit")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    fake.answers_late = 0
    async with shopping(fake) as second:
        call.shop = second
        assert bytes_of(await call.run(KEEP, CONTINUE)) == made("png")
    assert len(fake.submits) == 1


async def test_a_call_that_died_before_the_submit_is_reported_and_not_paid_for():
    fake = Replicate()
    async with shopping(fake) as first:
        call = Call(first, "acme/ok")
        await call.run(KEEP, until=submitting)
    async with shopping(fake) as second:
        call.shop = second
        with pytest.raises(OutcomeUnknown):
            await call.run(KEEP, CONTINUE)
    assert not fake.submits


@ROUNDS
async def test_text_is_told_from_its_beginning_to_a_caller_that_comes_back(round_):
    fake = Replicate(starting=0.03, processing=0.3)
    async with shopping(fake) as first:
        call = Call(first, "acme/says-well")
        await call.run(KEEP, until=lambda event: event.HasField("text_delta"))
        assert text_of(await call.run(KEEP, CONTINUE)) == TEXT
    assert len(fake.submits) == 1


async def test_the_address_of_a_stream_in_a_checkpoint_gets_no_key_unless_it_is_the_vendors():
    thief = FakeServer(lambda _: Reply(200, b"{}"))
    async with thief.serving(), shopping(Replicate(starting=0.03, processing=0.2)) as shop:
        call = Call(shop, "acme/says-well")
        await call.run(KEEP, until=submitted)
        assert b'"stream":"http' in call.state
        call.state = re.sub(rb'"stream":"[^"]+"', b'"stream":"' + thief.url.encode() + b'/s"', call.state)
        assert text_of(await call.run(KEEP, CONTINUE)) == TEXT
        assert thief.requests == []


# --- what is read ---


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"invalid_fields":[{"type":"required","field":"input","description":"prompt is required"}]}', "prompt"),
        (b'{"invalid_fields":[{"type":"number_lte","field":"input.steps","description":"Must be less"}]}', "steps"),
        (b'{"invalid_fields":[{"field":"input.images.0","description":"Does not match format"}]}', "images"),
        (b'{"invalid_fields":[{"field":"input","description":"Additional property x is not allowed"}]}', "x"),
        (b'{"detail":"no"}', ""),
        (b"<html>no</html>", ""),
        (b"[]", ""),
    ],
)
def test_the_input_at_fault_is_read_from_every_form(body, param):
    assert read_refusal(422, {}, body).param == param


def test_a_failure_without_a_reason_and_one_with_a_secret():
    assert isinstance(failed(None, "acme/x", "p"), AutoMarketError)
    assert len(failed("x" * 9999, "acme/x", "p").message) < 500


async def test_a_caller_that_leaves_while_the_submit_is_under_way_has_it_cancelled():
    fake = Replicate(answers_late=0.2)
    async with shopping(fake) as shop:
        task = asyncio.create_task(Call(shop, "acme/slow").run(LOSE))
        await until(lambda: fake.submits, what="the submit")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: fake.cancels, what="the cancel")
    assert fake.cancels == fake.submits
