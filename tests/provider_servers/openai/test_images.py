"""Pictures by the stand-in for OpenAI: made from text, and changed."""

from __future__ import annotations

import pytest

from automarket.assets.formats import detect
from automarket.errors import (
    BackendFailed,
    ContentRefused,
    CreditExhausted,
    InputIncomplete,
    InputTooLarge,
    InputUnsuitable,
    InvalidRequestError,
    MediaLimit,
    ModelGone,
    ModelUnknown,
    OptionInvalid,
    OptionUnknown,
    ProviderNotConfigured,
    RateLimited,
    VendorOverloaded,
)
from automarket.media.info import ImageFormat
from tests.provider_servers.asked import ask
from tests.support.gateway import until
from tests.vendors.openai_media import REFUSED, REQUEST_ID, REWRITTEN, picture

MAKE, CHANGE = "text-to-image", "image-to-image"
KITE = ("text", "a red kite")
MODEL, EDIT = "gpt-image-2", "gpt-image-2/edit"


async def paint(served, model=MODEL, **options):
    return await ask(served, model, KITE, capability=MAKE, **options)


async def change(served, *inputs, model=EDIT, **options):
    return await ask(served, model, *inputs, capability=CHANGE, **options)


async def test_a_picture_is_made_and_what_it_used_is_told_before_it(openai):
    served, media, server = openai
    made = await paint(served)
    assert made.error is None
    assert made.output == picture("1024x1024", "png")
    assert (made.types, made.media.video.width) == (["image/png"], 1024)
    assert [(one.unit, one.input_units, one.output_units) for one in made.usage] == [("token", 14, 272)]
    assert made.kinds.index("usage") < made.kinds.index("output_started")
    assert made.finished[0].generated_media.vendor_request_id == REQUEST_ID
    assert server.posts[-1].json == {"model": MODEL, "prompt": KITE[1], "n": 1}
    assert len(media.paid) == 1


@pytest.mark.parametrize("size", [1, 3, 4, 1000])
async def test_pictures_are_put_together_from_pieces_of_any_size(size, openai):
    served, _, server = openai
    server.piece_bytes = 0 if size == 1 else size * 997
    made = await paint(served, count=3, format=ImageFormat("jpeg"), aspect_ratio="16:9")
    assert made.error is None
    assert [bytes(one) for one in made.outputs] == [picture("1280x720", "jpeg", number) for number in range(3)]
    assert made.types == ["image/jpeg"] * 3


async def test_options_go_to_the_vendor_by_its_names(openai):
    served, _, server = openai
    more = {"moderation": "low", "output_compression": 80}
    made = await paint(
        served, width=1280, height=1600, quality="high", background="opaque", format=ImageFormat("webp"), **more
    )
    assert made.error is None
    wanted = {"size": "1280x1600", "quality": "high", "background": "opaque", "output_format": "webp", "n": 1, **more}
    assert server.posts[-1].json == {"model": MODEL, "prompt": KITE[1], **wanted}


async def test_fewer_pictures_than_were_asked_for_are_what_there_is(openai):
    served, _, _ = openai
    made = await paint(served, "gpt-image-fewer", count=2)
    assert (made.error, len(made.outputs)) == (None, 1)


async def test_a_text_that_the_vendor_rewrote_is_told(openai):
    served, _, _ = openai
    made = await paint(served, "gpt-image-rewritten")
    assert made.finished[0].generated_media.revised_prompt == REWRITTEN


@pytest.mark.parametrize(
    ("model", "options", "error", "field"),
    [
        (MODEL, {"width": 1000, "height": 1008}, OptionInvalid, "width"),
        (MODEL, {"width": 3840, "height": 1024}, OptionInvalid, "width"),
        (MODEL, {"width": 3840, "height": 3840}, OptionInvalid, "width"),
        (MODEL, {"width": 1024}, OptionInvalid, "width"),
        (MODEL, {"count": 11}, OptionInvalid, "count"),
        (MODEL, {"quality": "best"}, OptionInvalid, "quality"),
        (MODEL, {"background": "transparent", "format": ImageFormat("jpeg")}, OptionInvalid, "background"),
        (MODEL, {"seed": 7}, OptionUnknown, "seed"),
        (MODEL, {"steps": 20}, OptionUnknown, "steps"),
        ("gpt-image-1.5", {"aspect_ratio": "16:9"}, OptionInvalid, "aspect_ratio"),
        ("gpt-image-1.5", {"width": 1536, "height": 1536}, OptionInvalid, "width"),
    ],
)
async def test_options_are_refused_by_field_before_anything_is_spent(openai, model, options, error, field):
    served, media, server = openai
    made = await paint(served, model, **options)
    assert isinstance(made.error, error)
    assert f"header.text_to_image.{field}" in made.error.fields, made.error.fields
    assert not media.paid
    assert not server.posts


async def test_pictures_are_changed_by_words_several_at_once_and_through_a_mask(openai, media):
    served, fake, _ = openai
    small = media.ffmpeg("small.png", "-i", str(media.picture_png()), "-vf", "scale=160:90").read_bytes()
    inputs = (("image", small), ("image", small), ("mask", small))
    made = await change(served, *inputs, prompt="make it blue", input_fidelity="high", aspect_ratio="3:2", count=2)
    assert made.error is None
    assert len(made.outputs) == 2
    (form,) = fake.forms
    assert [(one.field, one.media_type, one.content) for one in form.files] == [
        ("image[]", "image/png", small),
        ("image[]", "image/png", small),
        ("mask", "image/png", small),
    ]
    said = {"model": "gpt-image-2", "prompt": "make it blue", "n": "2", "size": "1536x1024", "input_fidelity": "high"}
    assert dict(form.fields) == said


async def test_a_picture_of_another_form_is_cast_before_it_is_sent(openai, media):
    served, fake, _ = openai
    gif = media.ffmpeg("small.gif", "-i", str(media.picture_png()), "-vf", "scale=160:90").read_bytes()
    made = await change(served, ("image", gif), prompt="make it blue")
    assert made.error is None
    assert detect(fake.forms[0].files[0].content).name == "png"


@pytest.mark.parametrize(
    ("inputs", "options", "error"),
    [
        (["picture"], {}, OptionInvalid),
        ([], {"prompt": "x"}, InputIncomplete),
        (["sound"], {"prompt": "x"}, InputUnsuitable),
        (["picture"] * 17, {"prompt": "x"}, InputTooLarge),
        (["picture"], {"prompt": "x", "strength": 0.5}, OptionUnknown),
    ],
)
async def test_what_is_no_edit_is_refused_before_anything_is_spent(openai, media, inputs, options, error):
    served, fake, server = openai
    files = {"picture": ("small.png", ("-vf", "scale=160:90")), "sound": ("half.wav", ("-t", "0.5"))}
    source = {"picture": media.picture_png(), "sound": media.tone_wav()}
    given = [
        ("image", media.ffmpeg(files[one][0], "-i", str(source[one]), *files[one][1]).read_bytes()) for one in inputs
    ]
    made = await change(served, *given, **options)
    assert isinstance(made.error, error), made.error
    assert not fake.paid
    assert not server.posts


ERRORS = {
    "moderated": ContentRefused,
    "parameter": OptionInvalid,
    "hard": CreditExhausted,
    "key": ProviderNotConfigured,
    "unverified": ProviderNotConfigured,
    "none": ModelUnknown,
    "large": InputTooLarge,
    "rate": RateLimited,
    "quota": CreditExhausted,
    "failed": BackendFailed,
    "overloaded": VendorOverloaded,
    "cut": BackendFailed,
    "nothing": BackendFailed,
    "page": BackendFailed,
    "html": BackendFailed,
    "never": BackendFailed,
    "garbage": BackendFailed,
    "urls": BackendFailed,
    "huge": MediaLimit,
}


@pytest.mark.parametrize("name", ERRORS)
async def test_every_error_has_its_class_and_says_what_to_do(openai, name):
    served, _, _ = openai
    made = await paint(served, f"gpt-image-{name}", quality="low")
    error = made.error
    assert type(error) is ERRORS[name], error
    if name in REFUSED:
        assert error.metadata["upstream_code"] == str(REFUSED[name][0])
        assert error.hint or isinstance(error, BackendFailed | InvalidRequestError)
    if name == "parameter":
        assert "header.text_to_image.quality" in error.fields
    if name == "rate":
        assert error.retry_after == 7
    assert not made.finished


async def test_a_model_that_is_gone_names_the_one_to_take_instead(openai):
    served, _, _ = openai
    made = await paint(served, "dall-e-3")
    assert isinstance(made.error, ModelGone)
    assert "gpt-image-2" in made.error.hint


async def test_a_cancel_closes_the_vendors_connection_at_once(openai):
    served, _, server = openai
    for number in range(25):
        wanted = number + 1
        await ask(
            served,
            "gpt-image-slow",
            KITE,
            capability=MAKE,
            cancel_when=lambda wanted=wanted: len(server.posts) == wanted,
        )
        await until(lambda wanted=wanted: len(server.dropped) == wanted, what="the connection is closed")


async def test_models_are_told_by_their_names(openai):
    served, _, _ = openai
    found = {one.id: one.capabilities[0] for one in served.provider.models()}
    wanted = {"gpt-image-2": MAKE, "gpt-image-2/edit": CHANGE, "whisper-1": "speech-to-text", "tts-1": "text-to-speech"}
    assert wanted.items() <= found.items()
    assert found["gpt-6-luna"] == "text-to-text"
    assert "gpt-6-pro" not in found
