"""Creatify: persons, portraits and voices that speak; every refusal; jobs that are lost, cancelled and come back to."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib

import pytest

from automarket.errors import (
    BackendFailed,
    ContentRefused,
    CreditExhausted,
    InputIncomplete,
    InputTooLarge,
    InvalidRequestError,
    JobCancelledLocally,
    OptionInvalid,
    OutcomeUnknown,
    OutputExpired,
    ProviderNotConfigured,
    RateLimited,
)
from automarket.rpc.channel import errors_mapped
from automarket.v1 import model_service_pb2 as pb
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from provider_servers.creatify import CreatifyProvider
from provider_servers.creatify.models import OFFERS
from provider_servers.creatify.refusals import failed, read_refusal
from provider_servers.creatify.settings import CreatifySettings
from provider_servers.runtime.testing import serving
from tests.provider_servers.replicate.asking import (
    CANCEL,
    CONTINUE,
    KEEP,
    LOSE,
    QUICK,
    Call,
    Shop,
    bytes_of,
    outputs_of,
    progressing,
    submitted,
    submitting,
)
from tests.support.gateway import until
from tests.vendors.creatify import API_ID, PERSONAS, REASON, VOICES, Creatify, detail
from tests.vendors.http import FakeServer, Reply, answer, page
from tests.vendors.made import made, spoken
from tests.vendors.said import KEY

ROUNDS = pytest.mark.parametrize("round_", range(3))
AVATAR = {"avatar": "Anna"}
CALLS = {"lipsync": AVATAR, "text-to-speech": {}, "aurora-v1-fast": {"prompt": "warm smile"}}


@contextlib.asynccontextmanager
async def shopping(fake=None, *, bucket=True, **more):
    fake = fake or Creatify(pace=0.02)
    server = FakeServer(fake.handle)
    async with server.serving():
        more |= {"upload_url": f"{server.url}/bucket"} if bucket and "upload_url" not in more else {}
        settings = CreatifySettings(api_id=API_ID, api_key=KEY, base_url=server.url, **more)
        async with serving(CreatifyProvider(settings, QUICK)) as served:
            yield Shop(fake, server, served)


@pytest.fixture
async def shop():
    async with shopping() as one:
        yield one


def call_of(shop, model, text=b"Hello there", **more):
    inputs = {"image": made("png"), "speech": spoken()} if model.startswith("aurora") else {"text": text}
    return Call(shop, model, inputs, **CALLS[model], **more)


def asked(shop):
    return shop.fake.jobs[shop.fake.submits[-1]].asked


async def test_a_person_says_a_text(shop):
    options = {"avatar": "anna", "voice": "Fatima / British English accent", "aspect_ratio": "16:9", "no_music": True}
    call = Call(shop, "lipsync", {"text": b"Hello there"}, **options)
    events = await call.run()
    assert bytes_of(events) == made("mp4")
    [output] = outputs_of(events)
    assert (output.media_info.video.width, output.generated_media.vendor_request_id) == (320, shop.fake.submits[0])
    assert asked(shop) == {
        "text": "Hello there",
        "creator": PERSONAS[0]["id"],
        "accent": VOICES[0]["accents"][1]["id"],
        "aspect_ratio": "16x9",
        "model_version": "standard",
        "no_music": True,
        "name": f"automarket {call.request_id}",
    }
    [usage] = [event.usage for event in events if event.HasField("usage")]
    assert (usage.unit, usage.output_units, usage.HasField("cost")) == ("credit", 5, False)
    assert not shop.fake.leaks


async def test_a_person_says_what_is_heard_and_a_portrait_too(shop):
    await Call(shop, "lipsync", {"speech": spoken()}, avatar=PERSONAS[1]["id"]).run()
    assert "text" not in asked(shop)
    await call_of(shop, "aurora-v1-fast", prompt_guidance_scale=2).run()
    last = asked(shop)
    assert (last["model_version"], last["text_prompt"], last["prompt_guidance_scale"]) == (
        "aurora_v1_fast",
        "warm smile",
        2,
    )
    names = [one.path.rpartition("/")[2] for one in shop.fake.puts]
    assert names == [
        f"{hashlib.sha256(data).hexdigest()[:16]}.{end}" for data, end in ((spoken(), "wav"), (made("png"), "png"))
    ]
    assert last["audio"] == f"{shop.server.url}/bucket/{names[0]}"
    assert shop.fake.bucket[f"/bucket/{names[0]}"] == spoken()
    assert shop.fake.puts[0].headers["content-type"] == "audio/wav"
    assert not shop.fake.leaks


async def test_a_voice_says_a_text(shop):
    events = await Call(shop, "text-to-speech", {"text": b"Hello there"}, voice="Jonas").run()
    assert bytes_of(events) == spoken()
    assert asked(shop) == {"script": "Hello there", "accent": VOICES[1]["accents"][0]["id"]}


async def test_the_place_of_the_user_may_want_a_token_and_be_read_elsewhere():
    async with shopping() as first:
        place = f"{first.server.url}/bucket"
        async with shopping(upload_url=place, public_url="https://cdn.example/in", upload_token="t0ken") as second:
            await Call(second, "lipsync", {"speech": spoken()}, **AVATAR).run()
            assert asked(second)["audio"].startswith("https://cdn.example/in/")
        [put] = first.fake.puts
        assert put.headers["authorization"] == "Bearer t0ken"


async def test_without_a_place_media_is_refused_before_anything_is_spent():
    async with shopping(bucket=False) as shop:
        with pytest.raises(ProviderNotConfigured, match="no place for 'speech'") as caught:
            await Call(shop, "lipsync", {"speech": spoken()}, **AVATAR).run()
        assert "AUTOMARKET_CREATIFY_UPLOAD_URL" in caught.value.hint
        assert not shop.fake.submits
        assert bytes_of(await call_of(shop, "lipsync").run()) == made("mp4")


async def test_a_place_that_refuses_ends_the_call_before_anything_is_spent(shop):
    shop.fake.instead.extend(("PUT", ".wav", Reply(403)) for _ in range(3))
    with pytest.raises(ProviderNotConfigured):
        await Call(shop, "lipsync", {"speech": spoken()}, **AVATAR).run()
    assert not shop.fake.submits


# Options, the option at fault, what is said.
WRONG = [
    ({}, "avatar", "who speaks has to be named"),
    ({"avatar": "Ana"}, "avatar", "did you mean Anna"),
    ({"avatar": "Zoe"}, "avatar", "there are Anna, Ben"),
    ({"avatar": "Anna", "voice": "Fatime"}, "voice", "did you mean Fatima"),
    ({"avatar": "Anna", "aspect_ratio": "4:3"}, "aspect_ratio", "'4:3' is not one of '9:16', '16:9', '1:1'"),
    ({"avatar": "Anna", "caption_offset_x": 0.6}, "caption_offset_x", "0.6 is not a number of -0.5 to 0.5"),
    ({"avatar": "Anna", "model_version": "aurora_v9"}, "model_version", "is not one of 'standard'"),
]


@pytest.mark.parametrize(("options", "name", "words"), WRONG)
async def test_options_are_refused_by_name_before_anything_is_spent(shop, options, name, words):
    with pytest.raises(OptionInvalid) as caught:
        await Call(shop, "lipsync", {"text": b"Hello"}, **options).run()
    assert words in str(caught.value)
    assert [field.rpartition(".")[2] for field in caught.value.fields] == [name]
    assert not shop.fake.submits


async def test_the_users_own_person_speaks_where_none_is_named():
    async with shopping(avatar="Ben") as shop:
        await Call(shop, "lipsync", {"text": b"Hello"}).run()
        assert asked(shop)["creator"] == PERSONAS[1]["id"]


async def test_there_has_to_be_something_to_say_and_not_too_much(shop):
    request = Call(shop, "lipsync", {"text": b"x"}, **AVATAR)
    request.inputs = {}
    with pytest.raises(InputIncomplete, match="nothing to say"):
        await request.run()
    with pytest.raises(InputTooLarge, match="8,000"):
        await call_of(shop, "lipsync", b"x" * 8001).run()
    assert not shop.fake.submits


async def test_voices_are_listed_with_their_accents(shop):
    voices = await shop.provider.voices()
    assert [(one.name, one.labels) for one in voices] == [
        ("Fatima / American English accent", {"gender": "female"}),
        ("Fatima / British English accent", {"gender": "female"}),
        ("Jonas", {"gender": "male"}),
    ]
    await shop.provider.voices()
    assert len(shop.server.asked("/api/voices/")) == 1


async def test_a_credit_has_the_price_of_the_users_plan():
    async with shopping(credit_price=0.2) as shop:
        events = await call_of(shop, "lipsync").run()
        [usage] = [event.usage for event in events if event.HasField("usage")]
        assert (usage.cost, usage.currency) == (1.0, "USD")
        request = pb.EstimateCostRequest()
        request.target.model = "lipsync"
        request.header.CopyFrom(call_of(shop, "lipsync", b"x" * 1000).first().header)
        with errors_mapped():
            estimate = (await ModelServiceStub(shop.served.channel).EstimateCost(request)).estimate
        assert (estimate.unit, estimate.units) == ("credit", 15)
        assert estimate.cost == pytest.approx(3.0)
        request.header.model_options.update({"model_version": "aurora_v1"})
        with errors_mapped():
            estimate = (await ModelServiceStub(shop.served.channel).EstimateCost(request)).estimate
        assert estimate.units == 67  # a credit a second
        assert len(shop.fake.submits) == 1


def test_a_portrait_speaks_for_a_minute_at_most():
    for model in ("aurora-v1", "aurora-v1-fast"):
        [speech] = [slot for slot in OFFERS[model].model.inputs if slot.name == "speech"]
        assert speech.max_seconds == 60


# --- what goes wrong ---

REFUSED = [
    ("no-credit", CreditExhausted, "enough credits", None),
    ("no-credit-402", CreditExhausted, "Insufficient credits", None),
    ("list-400", InvalidRequestError, "Failed to scrape url", None),
    ("forbidden", ProviderNotConfigured, "do not have permission", None),
    ("throttled", RateLimited, "throttled", 30),
]


@pytest.mark.parametrize("model", ["lipsync", "text-to-speech"])
@pytest.mark.parametrize(("word", "kind", "said", "wait"), REFUSED, ids=[one[0] for one in REFUSED])
async def test_every_refusal_is_an_error_and_costs_nothing(shop, model, word, kind, said, wait):
    with pytest.raises(kind) as caught:
        await call_of(shop, model, f"[{word}] Hello".encode()).run()
    assert said in caught.value.message
    assert caught.value.hint
    assert caught.value.retry_after == wait
    assert KEY not in str(caught.value)
    assert not shop.fake.submits


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_is_refused(shop, status):
    shop.fake.instead.append(("POST", "/lipsyncs/", detail(status, "Invalid API ID or key.")))
    with pytest.raises(ProviderNotConfigured, match="refuses the key in CREATIFY_API_KEY with CREATIFY_API_ID"):
        await call_of(shop, "lipsync").run()


async def test_what_the_vendor_finds_wrong_is_told_by_our_names(shop):
    wrong = {"creator": ["Not available in your plan."], "text": ["Too short."]}
    shop.fake.instead.append(("POST", "/lipsyncs/", answer(wrong, 400)))
    with pytest.raises(OptionInvalid, match="Not available in your plan") as caught:
        await call_of(shop, "lipsync").run()
    assert list(caught.value.fields) == ["header.avatar_generation.avatar"]


@pytest.mark.parametrize("model", ["lipsync", "text-to-speech"])
@pytest.mark.parametrize("word", ["broken", "html-502", "page", "dropped"])
async def test_an_answer_that_does_not_tell_whether_it_was_taken_is_no_reason_to_pay_twice(shop, model, word):
    with pytest.raises(OutcomeUnknown):
        await call_of(shop, model, f"[{word}] Hello".encode()).run()
    assert len([one for one in shop.server.posts if one.path.startswith("/api/")]) == 1
    assert not shop.fake.submits


@ROUNDS
@pytest.mark.parametrize("model", ["lipsync", "text-to-speech"])
async def test_a_submit_whose_answer_was_lost_is_found(shop, model, round_):
    await call_of(shop, model).run()
    assert bytes_of(await call_of(shop, model, b"[lost] Hello").run())
    assert len(shop.fake.submits) == 2


async def test_speech_that_two_calls_say_alike_is_nobodys(shop):
    await call_of(shop, "text-to-speech", b"Hello").run()
    shop.fake.instead.append(("POST", "/text_to_speech/", Reply(never=True)))
    with pytest.raises(OutcomeUnknown):
        await call_of(shop, "text-to-speech", b"Hello").run()
    assert len(shop.fake.submits) == 1


async def test_an_answer_of_200_is_one_of_success(shop):
    assert bytes_of(await call_of(shop, "lipsync", b"[ok-200] Hello").run()) == made("mp4")


ENDS = [
    ("fails", BackendFailed, REASON),
    ("rejected", ContentRefused, REASON),
    ("nothing", BackendFailed, "still in progress"),
    ("expired", OutputExpired, "no longer there"),
]


@pytest.mark.parametrize(("word", "kind", "said"), ENDS, ids=[one[0] for one in ENDS])
async def test_a_job_that_comes_to_nothing_says_why(shop, word, kind, said):
    kind = ContentRefused if word == "fails" else kind  # the reason speaks of moderation
    with pytest.raises(kind) as caught:
        await call_of(shop, "lipsync", f"[{word}] Hello".encode()).run()
    assert said in caught.value.message
    assert len(shop.fake.submits) == 1


async def test_a_state_that_is_not_known_is_one_that_goes_on(shop):
    events = await call_of(shop, "lipsync", b"[odd] Hello").run()
    assert bytes_of(events) == made("mp4")


@ROUNDS
async def test_polls_that_fail_are_waited_out(shop, round_):
    shop.fake.stays = "running"
    call = asyncio.create_task(call_of(shop, "lipsync").run())
    await until(lambda: shop.fake.submits, what="the submit")
    end = f"{shop.fake.submits[0]}/"
    throttled = detail(429, "Request was throttled.", retry_after="0")
    faults = [page(502), throttled, Reply(never=True), page(200)]
    shop.fake.instead.extend(("GET", end, fault) for fault in faults)
    await until(lambda: not shop.fake.instead, what="all faults were met")
    shop.fake.stays = ""
    assert bytes_of(await call) == made("mp4")


async def test_a_job_that_the_vendor_forgets_is_lost(shop):
    call = asyncio.create_task(call_of(shop, "lipsync", b"[slow] Hello").run())
    await until(lambda: shop.fake.submits, what="the submit")
    shop.fake.jobs.clear()
    with pytest.raises(OutputExpired):
        await call


# --- cancels and crashes ---


@ROUNDS
@pytest.mark.parametrize("state", ["pending", "in_queue", "running"])
async def test_a_cancel_is_local_in_every_state_and_says_that_the_charge_stands(shop, state, round_):
    shop.fake.stays = state
    call = call_of(shop, "lipsync")
    await call.run(KEEP, until=progressing("running" if state == "running" else "queued"))
    with pytest.raises(JobCancelledLocally, match="has no cancel, so what it charges stands"):
        await call.run(KEEP, CANCEL)
    assert len(shop.fake.submits) == 1


async def test_a_cancel_before_the_submit_spends_nothing(shop):
    call = call_of(shop, "lipsync")
    await call.run(KEEP, until=submitting)
    with pytest.raises(OutcomeUnknown):
        await call.run(KEEP, CANCEL)
    assert not shop.fake.submits


async def test_a_caller_that_leaves_leaves_the_job_alone(shop):
    await call_of(shop, "lipsync", b"[slow] Hello").run(LOSE, until=lambda event: event.HasField("checkpoint"))
    await until(lambda: shop.served.server.active_calls == 0, what="the end of the call")
    assert len(shop.fake.submits) == 1


@ROUNDS
@pytest.mark.parametrize("model", ["lipsync", "text-to-speech", "aurora-v1-fast"])
@pytest.mark.parametrize("stage", ["submitted", "queued", "running", "downloading"])
async def test_a_call_that_was_lost_goes_on_from_every_stage_in_another_process(model, stage, round_):
    fake = Creatify(pace=0.03)
    fake.stays = {"queued": "in_queue", "running": "running"}.get(stage, "")
    async with shopping(fake) as first:
        call = call_of(first, model)
        await call.run(KEEP, until=submitted if stage == "submitted" else progressing(stage))
    fake.stays = ""
    async with shopping(fake) as second:
        call.shop = second
        assert bytes_of(await call.run(KEEP, CONTINUE))
    assert len(fake.submits) == 1


@ROUNDS
@pytest.mark.parametrize("model", ["lipsync", "text-to-speech"])
async def test_a_call_whose_process_died_within_the_submit_finds_it(model, round_):
    fake = Creatify(pace=0.02, answers_late=5)
    async with shopping(fake) as first:
        call = call_of(first, model)
        task = asyncio.create_task(call.run(KEEP))
        await until(lambda: fake.submits, what="the submit")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    fake.answers_late = 0
    async with shopping(fake) as second:
        call.shop = second
        assert bytes_of(await call.run(KEEP, CONTINUE))
    assert len(fake.submits) == 1


# --- settings, and what is read ---


async def test_without_key_or_id_it_is_not_available(monkeypatch):
    for name in ("API_ID", "API_KEY"):
        monkeypatch.delenv(f"CREATIFY_{name}", raising=False)
        monkeypatch.delenv(f"AUTOMARKET_CREATIFY_{name}", raising=False)
    assert not CreatifyProvider.availability().available
    monkeypatch.setenv("CREATIFY_API_KEY", KEY)
    lacking = CreatifyProvider.availability()
    assert "CREATIFY_API_ID" in lacking.reason
    monkeypatch.setenv("CREATIFY_API_ID", API_ID)
    assert CreatifyProvider.availability().available


async def test_how_the_vendor_is_is_asked_for_free(shop):
    assert (await shop.provider.service_status()).healthy
    assert shop.server.asked("/api/remaining_credits/")
    assert not shop.fake.submits


def test_every_field_of_a_model_has_a_path_of_ours():
    assert OFFERS["lipsync"].paths()["creator"] == "avatar_generation.avatar"
    assert OFFERS["aurora-v1"].paths()["audio"] == "inputs.speech"
    assert OFFERS["text-to-speech"].paths()["script"] == "inputs.text"


@pytest.mark.parametrize(
    ("body", "said", "param"),
    [
        (b'["One.", "Two."]', "One.; Two.", ""),
        (b'{"detail": "Not found."}', "Not found.", ""),
        (b'{"creator": ["This field is required."]}', "creator: This field is required.", "creator"),
        (b'{"non_field_errors": ["Either."], "text": ["Long."]}', "Either.; text: Long.", "text"),
        (b"<html>", "", ""),
        (b'"no"', "no", ""),
    ],
)
def test_every_form_of_an_error_is_read(body, said, param):
    refusal = read_refusal(400, {}, body)
    assert (refusal.message, refusal.param) == (said, param)


def test_the_time_to_wait_is_read_from_the_sentence_too():
    body = b'{"detail": "Request was throttled. Expected available in 12 seconds."}'
    assert read_refusal(429, {}, body).retry_after == 12


def test_a_job_that_failed_without_a_reason():
    assert "does not say why" in failed("failed", "", "lipsync", "1").message
