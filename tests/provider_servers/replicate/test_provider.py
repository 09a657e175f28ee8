"""Calls of Replicate's models: media in and out, text as it is made, costs, models that are found by name."""

from __future__ import annotations

import hashlib

import pytest

from automarket.errors import (
    BackendFailed,
    InputTooLarge,
    ModelGone,
    ModelUnknown,
    OptionInvalid,
    ProviderNotConfigured,
)
from automarket.rpc.channel import errors_mapped
from automarket.v1 import model_service_pb2 as pb
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from provider_servers.replicate import ReplicateProvider
from provider_servers.replicate.known import BY_SLUG
from provider_servers.replicate.settings import ReplicateSettings
from tests.provider_servers.replicate.asking import LOSE, Call, bytes_of, outputs_of, shopping, text_of
from tests.support.gateway import until
from tests.vendors.made import made, spoken
from tests.vendors.replicate import NO_MEMORY, WHISPER, Replicate
from tests.vendors.said import KEY, TEXT

FLUX = "black-forest-labs/flux-schnell"


@pytest.fixture
async def shop():
    async with shopping() as one:
        yield one


async def test_a_picture_is_drawn_paid_for_once_and_downloaded_at_once(shop):
    call = Call(shop, FLUX, count=2, format={"container": "png"}, seed=7)
    events = await call.run()
    assert [bytes_of(events, 0), bytes_of(events, 1)] == [made("png", 0), made("png", 1)]
    first, second = outputs_of(events)
    assert (first.media_info.video.width, first.media_info.video.height) == (320, 180)
    assert (first.generated_media.seed, first.generated_media.vendor_request_id) == (7, shop.fake.submits[0])
    assert first.digest != second.digest
    [usage] = [event.usage for event in events if event.HasField("usage")]
    assert (usage.unit, usage.output_units, usage.HasField("cost")) == ("second", 2.5, False)
    assert len(shop.fake.submits) == 1
    assert not shop.fake.leaks
    [asked] = [one for one in shop.server.posts if one.path.endswith("/predictions")]
    assert asked.path == f"/v1/models/{FLUX}/predictions"
    assert "prefer" not in asked.headers
    lines = [line for event in events for line in event.progress.log_lines]
    assert lines[0] == "Using seed: 42"
    assert len(lines) == len(set(lines))


async def test_a_model_of_a_version_is_asked_for_by_that_version(shop, media):
    picture = media.picture_png().read_bytes()
    events = await Call(shop, "nightmareai/real-esrgan", {"image": picture}, scale=2, face_restore=True).run()
    prediction = shop.fake.predictions[shop.fake.submits[0]]
    assert shop.server.posts[-1].path == "/v1/predictions"
    assert shop.server.posts[-1].json["version"] == prediction.model.version
    assert prediction.input | {"image": ""} == {"image": "", "scale": 2, "face_enhance": True}
    assert shop.fake.given(prediction.id, "image") == picture
    assert bytes_of(events) == made("png")


async def test_inputs_go_up_once_while_they_are_there(shop, media):
    video = media.talk_faststart_mp4().read_bytes()
    speech = spoken()
    for _ in range(2):
        await Call(shop, "bytedance/latentsync", {"video": video, "speech": speech}).run()
    assert len(shop.fake.files.facts) == 2
    for one in shop.fake.submits:
        assert shop.fake.given(one, "video") == video
        assert shop.fake.given(one, "audio") == speech
    kinds = {one["content_type"]: one["checksums"]["sha256"] for one in shop.fake.files.facts.values()}
    assert kinds == {"video/mp4": hashlib.sha256(video).hexdigest(), "audio/wav": hashlib.sha256(speech).hexdigest()}


async def test_a_face_swap_gives_each_input_where_it_belongs(shop, media):
    video, face = media.silent_mp4().read_bytes(), media.picture_png().read_bytes()
    await Call(shop, "arabyai-replicate/roop_face_swap", {"video": video, "face": face}).run()
    [one] = shop.fake.submits
    assert shop.fake.given(one, "target_video") == video
    assert shop.fake.given(one, "swap_image") == face


async def test_an_input_above_the_vendors_limit_is_refused_before_anything_is_spent(shop, monkeypatch):
    monkeypatch.setattr("provider_servers.replicate.kinds.MAX_FILE_BYTES", 1000)
    await shop.provider.find_model("nightmareai/real-esrgan")
    with pytest.raises(InputTooLarge, match="over the 1,000 bytes"):
        await Call(shop, "nightmareai/real-esrgan", {"image": made("png")}).run()
    assert not shop.fake.submits


@pytest.mark.parametrize("round_", range(3))
async def test_text_comes_as_it_is_made(shop, round_):
    events = await Call(shop, "meta/meta-llama-3-8b-instruct", temperature=0.1).run()
    deltas = [event for event in events if event.HasField("text_delta")]
    assert text_of(events) == TEXT
    assert len(deltas) > 3
    [output] = outputs_of(events)
    assert output.completion.vendor_request_id == shop.fake.submits[0]
    given = shop.fake.predictions[shop.fake.submits[0]].input
    assert (given["prompt"], given["system_prompt"]) == ("a red kite", "You are a helpful assistant")


@pytest.mark.parametrize("round_", range(3))
async def test_text_goes_on_by_polls_where_the_stream_breaks_off(shop, round_):
    events = await Call(shop, "acme/says-cut").run()
    assert text_of(events) == TEXT
    assert len(shop.fake.submits) == 1


async def test_a_caption_comes_whole(shop):
    events = await Call(shop, "salesforce/blip", {"image": made("png")}, prompt="what is it?").run()
    assert text_of(events) == f"Caption: {TEXT}"
    assert shop.fake.predictions[shop.fake.submits[0]].input["question"] == "what is it?"


async def test_speech_is_written_down(shop):
    events = await Call(shop, "openai/whisper", {"audio": spoken()}, language="en").run()
    assert text_of(events) == WHISPER["transcription"]
    assert outputs_of(events)[0].language == "english"


async def test_a_stream_that_tells_of_an_error_fails_the_call(shop):
    with pytest.raises(BackendFailed, match=NO_MEMORY):
        await Call(shop, "acme/says-then-fails").run()


async def test_a_seed_that_is_left_open_is_chosen_here_and_told(shop):
    events = await Call(shop, FLUX).run()
    seed = shop.fake.predictions[shop.fake.submits[0]].input["seed"]
    assert outputs_of(events)[0].generated_media.seed == seed > 0


async def test_a_repeat_of_a_call_without_a_seed_is_the_same_prediction(shop):
    call = Call(shop, FLUX, format={"container": "png"})
    first, second = await call.run(LOSE), await call.run(LOSE)
    assert outputs_of(first)[0].digest == outputs_of(second)[0].digest
    assert len(shop.fake.submits) == 1


async def test_a_price_of_the_users_makes_a_cost():
    prices = f"{FLUX}=gpu-h100, acme/ok=0.01"
    async with shopping(prices=prices) as shop:
        for model, cost in ((FLUX, 2.5 * 0.001525), ("acme/ok", 0.025)):
            events = await Call(shop, model).run()
            [usage] = [event.usage for event in events if event.HasField("usage")]
            assert (round(usage.cost, 9), usage.currency) == (round(cost, 9), "USD")


async def test_an_estimate_is_what_the_vendors_example_took():
    async with shopping(prices=f"{FLUX}=gpu-h100") as shop:

        async def estimated(model, **options):
            request = pb.EstimateCostRequest(
                target={"model": model}, header=Call(shop, model, **options).first().header
            )
            with errors_mapped():
                return (await ModelServiceStub(shop.served.channel).EstimateCost(request)).estimate

        flux = await estimated(FLUX, count=2)
        assert (flux.unit, flux.units, flux.at_least) == ("second", 4.0, True)
        assert flux.cost == pytest.approx(4 * 0.001525)
        unpriced = await estimated("wan-video/wan-2.2-t2v-fast", duration=5)
        assert (unpriced.HasField("cost"), unpriced.units) == (False, 4.0)
        assert not shop.fake.submits


@pytest.mark.parametrize("prices", ["acme/x=gold", "acme/x", "acme/x=gpu-t4; acme/y=1"])
def test_prices_that_are_none_are_refused(prices):
    with pytest.raises(ValueError, match="is no owner/name=price"):
        ReplicateSettings(prices=prices)


# --- models ---


async def test_well_known_models_are_described_by_their_schemas_once_the_provider_is_open(shop):
    listed = {one.id: one for one in shop.provider.models()}
    there = set(BY_SLUG) & set(shop.fake.models)
    assert set(listed) == there
    assert listed[FLUX].options["steps"]["maximum"] == 4


async def test_models_that_the_user_names_are_listed_too_and_one_that_is_not_there_hides_none():
    async with shopping(models="acme/ok, acme/none") as shop:
        listed = {one.id for one in shop.provider.models()}
        assert "acme/ok" in listed
        assert "acme/none" not in listed
        assert FLUX in listed


async def test_without_an_answer_the_well_known_models_are_outlined():
    provider = ReplicateProvider(ReplicateSettings(api_key=KEY))
    listed = {one.id: one for one in provider.models()}
    assert set(listed) == set(BY_SLUG)
    assert [slot.name for slot in listed["bytedance/latentsync"].inputs] == ["video", "speech"]


async def test_a_model_that_nobody_listed_is_found_by_name_described_and_kept(shop):
    told = []
    shop.provider.when_models_change(lambda: told.append(len(shop.provider.models())))
    before = len(shop.provider.models())
    request = pb.GetModelRequest()
    request.target.provider, request.target.model = "replicate", "acme/ok"
    with errors_mapped():
        described = (await ModelServiceStub(shop.served.channel).GetModel(request)).model
    assert (described.id, described.from_vendor_schema) == ("acme/ok", True)
    assert "steps" in described.options_schema["properties"]
    assert told == [before + 1]
    asked = len(shop.server.asked("/v1/models/acme/ok"))
    assert bytes_of(await Call(shop, "acme/ok", format={"container": "png"}).run()) == made("png")
    assert len(shop.server.asked("/v1/models/acme/ok")) == asked


async def test_a_version_can_be_pinned(shop):
    version = shop.fake.models["acme/empty"].version
    name = f"acme/fails:{shop.fake.models['acme/fails'].version}"
    found = await shop.provider.find_model(name)
    assert (found.id, found.version) == (name, name.partition(":")[2])
    assert await shop.provider.find_model(f"acme/fails:{version}") is None


@pytest.mark.parametrize("name", ["acme/none", "none", "../account", "acme/ok/versions", "acme/ok?x=1"])
async def test_a_name_that_is_no_model_is_unknown(shop, name):
    await until(lambda: shop.server.asked("/v1/account"), what="the question how the vendor is")
    before = len(shop.server.requests)
    with pytest.raises(ModelUnknown):
        await Call(shop, name).run()
    assert {one.path for one in shop.server.requests[before:]} <= {"/v1/models/acme/none"}


async def test_a_model_that_is_gone_says_so(shop):
    del shop.fake.models[FLUX]
    with pytest.raises(ModelGone, match=f"no model '{FLUX}' any more"):
        await Call(shop, FLUX).run()
    assert not shop.fake.submits


async def test_options_are_refused_by_our_names_when_the_vendor_finds_them_wrong(shop):
    model = shop.fake.models["acme/ok"]
    await shop.provider.find_model("acme/ok")
    model.inputs["num_inference_steps"]["maximum"], before = 3, 4  # it has changed meanwhile
    try:
        with pytest.raises(OptionInvalid, match="Must be less than or equal to 3") as caught:
            await Call(shop, "acme/ok", steps=4).run()
    finally:
        model.inputs["num_inference_steps"]["maximum"] = before
    assert list(caught.value.fields) == ["header.text_to_image.steps"]
    assert not shop.fake.submits


async def test_without_a_key_it_is_not_available(monkeypatch):
    for name in ("REPLICATE_API_TOKEN", "AUTOMARKET_REPLICATE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    availability = ReplicateProvider.availability()
    assert (availability.available, availability.reason) == (False, "REPLICATE_API_TOKEN is not set")
    assert "replicate.com/account/api-tokens" in availability.hint
    with pytest.raises(ProviderNotConfigured):
        ReplicateProvider(ReplicateSettings()).upstream()


async def test_the_address_of_the_sdk_is_taken_with_and_without_its_version(shop):
    provider = shop.provider
    for given in ("https://api.replicate.com", "https://api.replicate.com/v1"):
        assert provider.address(ReplicateSettings(base_url=given)) == "https://api.replicate.com/v1"


async def test_how_the_vendor_is_is_asked_for_free_and_with_the_key(shop):
    assert (await shop.provider.service_status()).healthy
    assert len(shop.server.asked("/v1/account")) == 1
    assert not shop.fake.submits


@pytest.mark.parametrize("round_", range(3))
async def test_a_caller_that_leaves_within_a_text_has_it_cancelled_and_its_stream_closed(round_):
    fake = Replicate(starting=0.0, processing=5.0)
    async with shopping(fake) as shop:
        await Call(shop, "acme/says-well").run(LOSE, until=lambda event: event.HasField("text_delta"))
        await until(lambda: fake.cancels, what="the cancel")
        await until(lambda: shop.server.dropped, what="the end of the stream")
    assert fake.cancels == fake.submits


async def test_a_caller_that_leaves_for_good_has_its_prediction_cancelled(shop):
    call = Call(shop, "acme/slow")
    await call.run(LOSE, until=lambda event: event.HasField("checkpoint"))
    await until(lambda: shop.fake.cancels, what="the cancel")
    assert shop.fake.cancels == shop.fake.submits
