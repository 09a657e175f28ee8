"""Calls of fal.ai from beginning to end, on its stand-in."""

from __future__ import annotations

import asyncio
import re

import pytest

from automarket.errors import (
    BackendFailed,
    ContentRefused,
    CreditExhausted,
    InputIncomplete,
    InputTooLarge,
    InputUnsuitable,
    InvalidRequestError,
    JobCancelled,
    JobCancelledLocally,
    MediaInvalid,
    ModelGone,
    OptionInvalid,
    OptionUnknown,
    OutcomeUnknown,
    OutputExpired,
    ProviderNotConfigured,
    RateLimited,
    RequestIdReused,
    VendorOverloaded,
)
from tests.provider_servers.fal.asking import (
    CANCEL,
    CONTINUE,
    DEV,
    FRAMES,
    LOSE,
    SAMPLES,
    SWAP,
    data_of,
    finished,
    shopping,
    submitted,
    told,
)  # fmt: skip
from tests.provider_servers.runtime.bench import kinds
from tests.support.gateway import until
from tests.vendors.fal import ENDPOINTS, GONE, Fal
from tests.vendors.http import FakeServer, Reply
from tests.vendors.made import made
from tests.vendors.said import KEY


async def test_a_picture_is_made_of_text():
    async with shopping() as shop:
        events = await shop.call(DEV, seed=7, count=2, steps=12).of("text").run()
        first, second = finished(events)
        assert (first.media_info.video.width, first.media_info.video.height) == (320, 180)
        assert (first.generated_media.seed, first.generated_media.flagged) == (7, False)
        assert first.generated_media.vendor_request_id == shop.fake.submits[0]
        assert data_of(events, 1) == made("jpg", 1)
        assert first.digest != second.digest
        [body] = shop.fake.bodies
        assert body == {
            "prompt": "a red kite", "seed": 7, "num_images": 2, "num_inference_steps": 12, "guidance_scale": 3.5,
            "image_size": "landscape_4_3", "enable_safety_checker": True,
        }  # fmt: skip
        [usage] = [event.usage for event in events if event.HasField("usage")]
        assert (usage.unit, usage.output_units, usage.cost, usage.currency) == ("image", 2, 0.05, "USD")
        assert kinds(events).index("usage") < kinds(events).index("output_started")


async def test_the_queue_is_told_with_positions_and_log_lines_once():
    async with shopping(Fal(queued=0.4, running=0.6)) as shop:
        for stream in (True, False):
            shop.provider.configure({"stream": stream})
            progress = told(await shop.call(DEV).of("text").run())
            positions = [one.queue_position for one in progress if one.HasField("queue_position")]
            assert positions == sorted(positions, reverse=True)
            assert {2, 0} <= set(positions)
            lines = [line for one in progress for line in one.log_lines]
            assert lines == [f"step {number}/4" for number in range(1, 5)]
            assert [one.phase for one in progress][-1] == "downloading"
        asked = [one.path.rpartition("/")[2] for one in shop.server.requests]
        assert asked.count("stream") == 1


async def test_where_states_are_not_streamed_they_are_polled():
    async with shopping(Fal(streams=False)) as shop:
        assert finished(await shop.call(DEV).of("text").run())


async def test_a_call_without_a_seed_says_its_own():
    async with shopping() as shop:
        asked = shop.call(DEV).of("text")
        await asked.run()
        await shop.call(DEV).of("text").run()
        one, other = (body["seed"] for body in shop.fake.bodies)
        assert one != other
        assert finished(asked.events)[0].generated_media.seed == one


async def test_small_inputs_go_within_the_request_and_larger_ones_by_upload_once():
    async with shopping() as shop:
        video = made("mp4") + bytes(70_000)
        await shop.call(SWAP).of("face", video=video).run()
        await shop.call(SWAP).of("face", video=video).run()
        first, second = shop.fake.bodies
        assert first["source_face_url"].startswith("data:image/jpeg;base64,")
        assert first["target_video_url"] == second["target_video_url"]
        [(url, stored)] = shop.fake.storage.uploads.items()
        assert (stored.media_type, stored.size, url) == ("video/mp4", len(video), first["target_video_url"])
        assert url.endswith(".mp4")
        assert shop.fake.storage.leaks == []


async def test_inputs_go_up_by_a_token_where_addresses_are_not_signed():
    async with shopping() as shop:
        shop.fake.storage.signs = False
        await shop.call(SWAP).of("face", video=made("mp4") + bytes(70_000)).run()
        assert len(shop.fake.storage.uploads) == 1


async def test_a_face_may_be_a_video_of_which_the_first_picture_is_taken():
    async with shopping() as shop:
        await shop.call(SWAP).of("video", face=made("mp4")).run()
        assert shop.fake.bodies[0]["source_face_url"].startswith("data:image/png;base64,")


async def test_every_endpoint_makes_something():
    async with shopping(Fal(queued=0.0, running=0.02)) as shop:
        models = [model for model in shop.provider.models() if not shop.provider._endpoints[model.id].gone]
        assert {model.id for model in models} == ENDPOINTS.keys() - GONE - {"acme/kite/dream"}

        async def made_by(model):
            options = {"prompt": "a red kite"} if "prompt" in model.options else {}
            slots = [slot.name for slot in model.inputs if not slot.optional]
            [output] = finished(await shop.call(model.id, **options).of(*slots).run())
            assert output.media_info.video.width == 320
            assert (output.media_info.video.frame_rate > 0) == (model.outputs[0].name == "video")

        await asyncio.gather(*map(made_by, models))
        assert len(shop.fake.submits) == len(models) == 34


# --- what is refused before anything is spent ---


@pytest.mark.parametrize(
    ("model", "options", "error", "field", "said"),
    [
        (DEV, {"steps": 51}, OptionInvalid, "steps", ("51", "1", "50")),
        (DEV, {"count": 0}, OptionInvalid, "count", ("0", "1", "4")),
        (DEV, {"num_steps": 3}, OptionUnknown, "num_steps", ()),
        (DEV, {"aspect_ratio": "5:4"}, OptionInvalid, "aspect_ratio", ("5:4", "16:9")),
        (DEV, {"width": 20_000, "height": 512}, OptionInvalid, "width", ("20000", "14,142")),
        (FRAMES, {"prompt": "x", "video_length": 31}, OptionInvalid, "video_length", ("31", "30")),
        (FRAMES, {"prompt": "x", "num_frames": 20}, OptionInvalid, "num_frames", ("20", "30", "900")),
        (FRAMES, {}, OptionInvalid, "prompt", ("required",)),
        ("stable-video-diffusion", {"motion_strength": 1.5}, OptionInvalid, "motion_strength", ("1.5", "1")),
    ],
)
async def test_an_option_that_does_not_fit_names_field_range_and_value(model, options, error, field, said):
    async with shopping() as shop:
        slots = {DEV: ("text",)}.get(model, ("image",))
        with pytest.raises(error) as caught:
            await shop.call(model, **options).of(*slots).run()
        [(path, fault)] = caught.value.fields.items()
        assert path.endswith(f".{field}")
        assert all(one in fault for one in said)
        assert (shop.fake.submits, shop.server.posts) == ([], [])


async def test_inputs_that_do_not_fit_are_refused():
    async with shopping() as shop:
        two = shop.call(SWAP).of("video", "face", **{"face#2": made("png")})
        with pytest.raises(InputUnsuitable, match="takes one input"):
            await two.run()
        with pytest.raises(InputIncomplete, match="face"):
            await shop.call(SWAP).of("video").run()
        with pytest.raises((InputUnsuitable, MediaInvalid)):
            await shop.call(FRAMES, prompt="x").of(image=SAMPLES["audio"]()).run()
        with pytest.raises(ModelGone) as caught:
            await shop.call("runway-gen3", prompt="x").of("image").run()
        assert "fal-ai/kling-video/v1.6/standard/image-to-video" in caught.value.hint
        assert shop.fake.submits == []


async def test_pictures_that_are_too_large_are_made_smaller_and_videos_refused():
    async with shopping(max_picture_side=100, max_input_bytes=1000) as shop:
        await shop.call(FRAMES, prompt="x").of("image").run()
        assert len(shop.fake.bodies[0]["image_url"]) < len(made("png"))
        with pytest.raises(InputTooLarge) as caught:
            await shop.call("video-enhance").of("video").run()
        assert list(caught.value.fields) == ["header.inputs.video"]
        assert len(shop.fake.submits) == 1


# --- what the vendor refuses ---


@pytest.mark.parametrize(
    ("scenario", "error", "said"),
    [
        ("balance", CreditExhausted, "Exhausted balance"),
        ("payment", CreditExhausted, "Payment"),
        ("forbidden", ProviderNotConfigured, "may not run"),
        ("string-422", InvalidRequestError, "not one"),
        ("gone", ModelGone, "not found"),
        ("runner", VendorOverloaded, "No runner"),
        ("internal", BackendFailed, "went wrong"),
    ],
)
async def test_a_submit_that_is_refused(scenario, error, said):
    async with shopping() as shop:
        with pytest.raises(error, match=said) as caught:
            await shop.call(DEV).of(text=scenario.encode()).run()
        assert type(caught.value) is error
        assert caught.value.metadata["upstream_code"]
        assert shop.fake.submits == []


async def test_a_list_of_faults_names_our_field():
    async with shopping() as shop:
        shop.fake.instead.append(
            (
                "POST",
                "/dev",
                Reply(422, b'{"detail":[{"loc":["body","num_inference_steps"],"msg":"too many","type":"v"}]}'),
            )
        )
        with pytest.raises(OptionInvalid) as caught:
            await shop.call(DEV).of("text").run()
        assert caught.value.fields == {"header.text_to_image.steps": "num_inference_steps: too many"}


async def test_a_rate_limit_says_how_long_to_wait_and_is_tried_again():
    async with shopping() as shop:
        shop.fake.instead.append(("POST", "/dev", Reply(429, b'{"detail":"slow"}', headers={"retry-after": "0"})))
        assert finished(await shop.call(DEV).of("text").run())
        assert len(shop.fake.submits) == 1
        for _ in range(3):
            shop.fake.instead.append(("POST", "/dev", Reply(429, b'{"detail":"slow"}', headers={"retry-after": "90"})))
        with pytest.raises(RateLimited) as caught:
            await shop.call(DEV).of("text").run()
        assert caught.value.retry_after == 90


@pytest.mark.parametrize("scenario", ["html-502", "dropped"])
async def test_a_submit_of_which_nobody_knows_what_became_is_not_made_again(scenario):
    async with shopping() as shop:
        with pytest.raises(OutcomeUnknown):
            await shop.call(DEV).of(text=scenario.encode()).run()
        assert len([one for one in shop.server.posts if one.path == f"/{DEV}"]) == 1


async def test_a_key_that_is_refused_is_not_shown():
    async with shopping(api_key="wrong-key-0123456789") as shop:
        with pytest.raises(ProviderNotConfigured) as caught:
            await shop.call(DEV).of("text").run()
        assert "FAL_KEY" in caught.value.hint
        assert "wrong-key" not in str(caught.value)


@pytest.mark.parametrize(
    ("scenario", "error", "said"),
    [
        ("error-422", InvalidRequestError, "too odd"),
        ("refused", ContentRefused, "content checker"),
        ("error-500", BackendFailed, "runner failed"),
        ("timeout", BackendFailed, "too long"),
        ("error-only", BackendFailed, "model failed"),
        ("expired", OutputExpired, "no longer there"),
    ],
)
async def test_work_that_fails(scenario, error, said):
    async with shopping() as shop:
        with pytest.raises(error, match=said) as caught:
            await shop.call(DEV).of(text=scenario.encode()).run()
        assert type(caught.value) is error or scenario == "error-422"
        assert len(shop.fake.submits) == 1
        assert shop.fake.cancels == []


async def test_a_picture_that_the_vendor_cannot_read_is_named():
    async with shopping() as shop:
        shop.fake.befalls[FRAMES] = "error-late"
        with pytest.raises(InputUnsuitable) as caught:
            await shop.call(FRAMES, prompt="x").of("image").run()
        assert list(caught.value.fields) == ["header.inputs.image"]


async def test_an_output_that_is_flagged_says_so():
    async with shopping() as shop:
        [output] = finished(await shop.call(DEV).of(text=b"nsfw").run())
        assert (output.generated_media.flagged, list(output.generated_media.safety_flags)) == (True, ["nsfw"])


@pytest.mark.parametrize("scenario", ["back", "late", "expires", "broken-off", "ok"])
async def test_work_that_ends_well_all_the_same(scenario):
    async with shopping() as shop:
        events = await shop.call(DEV).of(text=scenario.encode()).run()
        assert data_of(events) == made("jpg")
        assert len(shop.fake.submits) == 1


# --- callers that are lost, and come back ---


@pytest.mark.parametrize("scenario", ["lost", "mute"])
async def test_a_submit_whose_answer_is_lost_is_found_by_its_input(scenario):
    async with shopping() as shop:
        await shop.call(DEV).of("text").run()
        assert finished(await shop.call(DEV).of(text=scenario.encode()).run())
        assert len(shop.fake.submits) == 2


@pytest.mark.parametrize("scenario", ["twins", "lost-unlisted"])
async def test_a_submit_that_cannot_be_told_from_others_ends_with_outcome_unknown(scenario):
    async with shopping() as shop:
        with pytest.raises(OutcomeUnknown):
            await shop.call(DEV).of(text=scenario.encode()).run()
        assert len([one for one in shop.server.posts if one.path == f"/{DEV}"]) == 1


@pytest.mark.parametrize("state", ["IN_QUEUE", "IN_PROGRESS"])
async def test_a_caller_that_is_lost_cancels_the_work_and_one_that_comes_back_does_not(state):
    async with shopping(Fal(stays=state)) as shop:
        await shop.call(DEV).of("text").run(LOSE, until=lambda event: event.HasField("progress"))
        await until(lambda: len(shop.fake.cancels) == 1)
        kept = shop.call(DEV).of("text")
        await kept.run(until=lambda event: event.HasField("progress"))
        await until(lambda: shop.served.server.active_calls == 0)
        shop.fake.stays = ""
        assert finished(await kept.run(action=CONTINUE))
        assert (len(shop.fake.submits), len(shop.fake.cancels)) == (2, 1)


async def test_another_process_goes_on_from_every_stage():
    fake = Fal(stays="IN_QUEUE")
    async with shopping(fake) as shop:
        begun, lost = shop.call(DEV).of("text"), shop.call(DEV).of(text=b"lost")
        await begun.run(until=submitted)
        fake.stays = ""
        await lost.run(until=submitted)
    states = begun.state, lost.events[1].checkpoint.state
    assert b"submitting" in states[1]
    async with shopping(fake) as shop:
        for state, asked in zip(states, (begun, lost), strict=True):
            asked.shop, asked.state = shop, _moved(state, shop.server.url)
            assert finished(await asked.run(action=CONTINUE))
        assert len(fake.submits) == 2


def _moved(state, url):
    """Give a checkpoint of a stand-in that has another port now."""
    return re.sub(rb"http://127.0.0.1:\d+", url.encode(), state)


async def test_the_addresses_of_a_checkpoint_get_no_key_unless_they_are_the_vendors():
    thief = FakeServer(lambda _: Reply(200, b"{}"))
    async with thief.serving(), shopping(Fal(stays="IN_QUEUE")) as shop:
        asked = shop.call(DEV).of("text")
        await asked.run(until=submitted)
        asked.state = _moved(asked.state, thief.url)
        shop.fake.stays = ""
        assert finished(await asked.run(action=CONTINUE))
        assert thief.requests == []


@pytest.mark.parametrize(
    ("stays", "scenario", "ends"),
    [
        ("IN_QUEUE", "ok", JobCancelled),
        ("IN_PROGRESS", "ok", JobCancelled),
        ("", "late-cancel", None),
        ("", "ok", None),
    ],
)
async def test_a_cancel_in_every_state(stays, scenario, ends):
    async with shopping(Fal(queued=0.0, running=0.3, stays=stays)) as shop:
        asked = shop.call(DEV).of(text=scenario.encode())
        await asked.run(until=submitted)
        if scenario == "ok" and not stays:
            work = shop.fake.work[shop.fake.submits[0]]
            await until(lambda: shop.fake.state(work)[0] == "COMPLETED")
        if ends is None:
            assert finished(await asked.run(action=CANCEL))
        else:
            with pytest.raises(ends):
                await asked.run(action=CANCEL)
        assert shop.fake.cancels == shop.fake.submits


async def test_a_cancel_of_work_that_the_vendor_does_not_know():
    async with shopping(Fal(stays="IN_QUEUE")) as shop:
        asked = shop.call(DEV).of("text")
        await asked.run(until=submitted)
        shop.fake.work.clear()
        with pytest.raises(JobCancelledLocally, match="charges stands"):
            await asked.run(action=CANCEL)


# --- models ---


async def test_an_endpoint_that_nobody_lists_is_found_by_its_schema():
    async with shopping() as shop:
        asked = shop.call("acme/kite/dream", prompt="fly", wind=7).of("image")
        [output] = finished(await asked.run())
        assert output.media_info.video.width == 320
        [body] = shop.fake.bodies
        assert (body["prompt"], body["wind"]) == ("fly", 7)
        assert "acme/kite/dream" in [model.id for model in shop.provider.models()]
        with pytest.raises(OptionInvalid, match="wind"):
            await shop.call("acme/kite/dream", prompt="fly", wind=13).of("image").run()


async def test_prices_are_the_vendors_and_its_count_of_units_wins():
    async with shopping(Fal(units="2.5")) as shop:
        await until(lambda: shop.provider.models()[0].pricing is not None)
        prices = {model.id: model.pricing for model in shop.provider.models()}
        assert (prices[DEV].unit, prices[DEV].output_cost) == ("image", 0.025)
        assert prices["fal-ai/flux-pro/v1.1"].unit == "megapixel"
        assert prices["fal-ai/runway-gen3/turbo/image-to-video"] is None
        events = await shop.call(DEV).of("text").run()
        [usage] = [event.usage for event in events if event.HasField("usage")]
        assert (usage.output_units, usage.cost) == (2.5, 0.0625)


async def test_a_repeat_of_a_call_is_not_paid_for_again():
    async with shopping() as shop:
        asked = shop.call(DEV).of("text")
        first, second = await asked.run(LOSE), await asked.run(LOSE)
        assert finished(first)[0].digest == finished(second)[0].digest
        assert len(shop.fake.submits) == 1
        asked.options = {"count": 2}
        with pytest.raises(RequestIdReused):
            await asked.run(LOSE)


async def test_a_repeat_of_a_call_that_failed_or_was_cancelled_begins_anew():
    async with shopping() as shop:
        asked = shop.call(DEV).of(text=b"error-500")
        for _ in range(2):
            with pytest.raises(BackendFailed):
                await asked.run(LOSE)
        assert len(shop.fake.submits) == 2
        shop.fake.stays = "IN_QUEUE"
        lost = shop.call(DEV).of("text")
        await lost.run(LOSE, until=lambda event: event.HasField("progress"))
        await until(lambda: len(shop.fake.cancels) == 1)
        shop.fake.stays = ""
        assert finished(await lost.run(LOSE))
        assert len(shop.fake.submits) == 4


async def test_a_submit_has_a_connection_of_its_own():
    async with shopping() as shop:
        await shop.call(DEV).of("text").run()
        before = shop.server.open
        await shop.call(DEV).of("text").run()
        assert shop.server.open <= before + 1
        submits = [one for one in shop.server.posts if one.path == f"/{DEV}"]
        assert [one.headers.get("connection", "") for one in submits] == ["close", "close"]


async def test_nothing_shows_the_key(caplog):
    async with shopping() as shop:
        asked = shop.call(DEV).of(text=b"lost-unlisted")
        with pytest.raises(OutcomeUnknown) as caught:
            await asked.run()
        shown = f"{caught.value!r} {caught.value.metadata} {asked.state!r} {caplog.text}"
        assert KEY not in shown
