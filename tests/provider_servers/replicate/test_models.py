"""Models of Replicate as their schemas make them: slots, options with ranges, and the input of a prediction."""

from __future__ import annotations

import msgspec
import pytest
from jsonschema import Draft202012Validator

from automarket import capabilities
from automarket.errors import OptionInvalid, OptionUnknown
from automarket.v1 import transform_pb2
from provider_servers.replicate.cog import read_model, urls_of
from provider_servers.replicate.known import BY_SLUG
from provider_servers.replicate.models import recipe_of
from provider_servers.runtime.options import object_schema, read_options
from tests.vendors.http import Request
from tests.vendors.replicate import Replicate
from tests.vendors.replicate_models import MODELS, URI, FakeModel

FAKE = Replicate()


def told(model):
    """Give what the vendor says of a model."""
    fake = Replicate(models={model.name: model})
    return fake._model(Request("GET", "/", {}, {"host": "x"}, b""), model.name).body


def recipe(name, **facts):
    return recipe_of(read_model(told(FAKE.models[name])), **facts)


def drawn(**inputs):
    """Give the recipe of a model that draws, with these inputs beside its prompt."""
    model = FakeModel("acme/new", {"prompt": {"type": "string"}, **inputs}, ("prompt",), URI, "png")
    return recipe_of(read_model(told(model)))


def read(found, **options):
    header = transform_pb2.TransformHeader()
    header.model_options.update(options)
    return found.values(read_options(header, found.model))


# Model: what it does, its slots with their roles (a mark after those that may be left out), its output.
EXPECTED = {
    "black-forest-labs/flux-schnell": ("text-to-image", "text:text", "image:image"),
    "black-forest-labs/flux-kontext-pro": ("text-to-image", "text:text image:image?", "image:image"),
    "nightmareai/real-esrgan": ("image-upscale", "image:image", "image:image"),
    "salesforce/blip": ("image-to-text", "image:image", "text:text"),
    "yorickvp/llava-13b": ("image-to-text", "image:image", "text:text"),
    "meta/meta-llama-3-8b-instruct": ("text-to-text", "text:text", "text:text"),
    "wan-video/wan-2.2-t2v-fast": ("text-to-video", "text:text", "video:video"),
    "kwaivgi/kling-v2.1": ("image-to-video", "image:image end_image:image?", "video:video"),
    "bytedance/latentsync": ("lip-sync", "video:video speech:speech", "video:video"),
    "cdingram/face-swap": ("image-to-image", "image:image face:image", "image:image"),
    "arabyai-replicate/roop_face_swap": ("face-swap", "video:video face:image", "video:video"),
    "topazlabs/video-upscale": ("video-upscale", "video:video", "video:video"),
    "jaaari/kokoro-82m": ("text-to-speech", "text:text", "speech:speech"),
    "meta/musicgen": ("text-to-music", "text:text? audio:audio?", "audio:audio"),
    "openai/whisper": ("speech-to-text", "audio:speech", "text:text"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_what_a_model_is_is_found_from_its_schema(name):
    model = recipe(name).model
    slots = " ".join(f"{one.name}:{one.role}{'?' * one.optional}" for one in model.inputs)
    [output] = model.outputs
    assert (*model.capabilities, slots, f"{output.name}:{output.role}") == EXPECTED[name]
    assert (model.id, model.resumable, model.from_vendor_schema) == (name, True, True)


def test_what_is_known_of_a_model_goes_before_what_its_schema_suggests():
    name = "black-forest-labs/flux-kontext-pro"
    found = recipe(name, capability=BY_SLUG[name].capability, canonical_id=name, price=0.0014)
    assert found.model.capabilities == ("image-to-image",)
    assert [(one.name, one.optional) for one in found.model.inputs] == [("image", False)]
    assert found.required == ("prompt",)
    assert (found.model.pricing.unit, found.model.pricing.output_cost) == ("second", 0.0014)


def test_every_well_known_model_does_something_that_the_mesh_knows():
    assert all(capabilities.find(one.capability) is not None for one in BY_SLUG.values())


@pytest.mark.parametrize("model", MODELS, ids=lambda one: one.name)
def test_every_schema_becomes_options_with_the_vendors_ranges(model):
    found = recipe_of(read_model(told(model)))
    Draft202012Validator.check_schema(object_schema(found.model.options))
    vendor = found.options.fields()
    known = {*vendor.values(), *found.media.values(), found.text}
    derived = {"num_frames"} if "duration" in found.model.options else set()
    assert set(model.inputs) <= known | derived
    for name, rule in found.model.options.items():
        if vendor.get(name) == "num_frames" and name == "duration":
            continue  # seconds, from pictures and their rate
        given = model.inputs.get(vendor.get(name, ""), {})
        for bound in ("minimum", "maximum"):
            assert rule.get(bound) == given.get(bound, rule.get(bound)), name


def test_options_are_checked_by_the_vendors_ranges_before_anything_is_spent():
    flux = recipe("black-forest-labs/flux-schnell")
    for options, fault in (
        ({"steps": 9}, "9 is not a whole number of 1 to 4"),
        ({"count": 0}, "0 is not a whole number of 1 to 4"),
        ({"aspect_ratio": "7:1"}, "'7:1' is not one of '1:1', '16:9'"),
        ({"output_quality": 101}, "101 is not a whole number of 0 to 100"),
    ):
        with pytest.raises(OptionInvalid, match=fault) as caught:
            read(flux, **options)
        assert list(caught.value.fields) == [f"header.model_options.{next(iter(options))}"]
    with pytest.raises(OptionUnknown, match="num_inference_steps") as caught:
        read(flux, num_inference_steps=3)
    assert caught.value.hint == "did you mean steps?"


def test_options_become_the_vendors_input():
    flux = recipe("black-forest-labs/flux-schnell")
    given = read(flux, steps=2, count=3, format={"container": "jpeg"}, seed=7, go_fast=False)
    assert given == {
        "aspect_ratio": "1:1",
        "num_outputs": 3,
        "num_inference_steps": 2,
        "seed": 7,
        "output_format": "jpg",
        "output_quality": 80,
        "disable_safety_checker": False,
        "go_fast": False,
    }
    assert read(recipe("kwaivgi/kling-v2.1"), prompt="it moves", video_length=10)["duration"] == 10
    assert read(recipe("topazlabs/video-upscale"), resolution="2160p")["target_resolution"] == "4k"
    assert read(recipe("wan-video/wan-2.2-t2v-fast"), duration=5, fps=20)["num_frames"] == 100


def test_an_option_that_the_vendor_needs_is_asked_for():
    with pytest.raises(OptionInvalid, match=r"option prompt: model kwaivgi/kling-v2\.1 needs it") as caught:
        read(recipe("kwaivgi/kling-v2.1"))
    assert list(caught.value.fields) == ["header.image_to_video.prompt"]


def test_errors_of_the_vendor_are_told_by_our_names():
    paths = recipe("kwaivgi/kling-v2.1").paths()
    assert (paths["start_image"], paths["duration"]) == ("inputs.image", "image_to_video.video_length")
    assert recipe("black-forest-labs/flux-schnell").paths()["prompt"] == "inputs.text"


@pytest.mark.parametrize(
    ("name", "description", "slot"),
    [
        ("last_frame", "", "end_image:image"),
        ("mask", "white is painted", "mask:image"),
        ("driving_video", "", "video:video"),
        ("speaker_wav", "", "voice:speech"),
        ("song", "", "audio:audio"),
        ("init", "Start from this picture", "image:image"),
        ("conditioning", "A short clip of sound", "audio:audio"),
    ],
)
def test_the_slot_of_a_file_is_found_by_name_then_by_description(name, description, slot):
    found = drawn(**{name: {**URI, "description": description}})
    assert [f"{one.name}:{one.role}" for one in found.model.inputs[1:]] == [slot]
    assert found.media[slot.partition(":")[0]] == name


@pytest.mark.parametrize("name", ["lora_weights", "training_zip", "thing"])
def test_a_file_that_is_no_media_stays_an_option(name):
    found = drawn(**{name: {**URI, "description": "A file"}})
    assert len(found.model.inputs) == 1
    assert found.model.options[name]["type"] == "string"


def test_a_second_file_of_a_kind_keeps_its_own_name_and_a_list_takes_several():
    found = drawn(image=URI, style_image=URI, input_images={"type": "array", "items": URI, "maxItems": 3})
    slots = {one.name: (one.repeated, one.max_count) for one in found.model.inputs[1:]}
    assert slots == {"image": (False, None), "style_image": (False, None), "images": (True, 3)}
    assert found.lists == {"images"}


def test_forms_of_newer_schemas_are_read():
    found = drawn(
        image={"anyOf": [URI, {"type": "null"}], "description": "Start"},
        seed={"anyOf": [{"type": "integer", "maximum": 99}, {"type": "null"}], "default": None},
        mode={"$ref": "#/components/schemas/none"},
        anything={},
    )
    assert found.media == {"image": "image"}
    assert found.model.options["seed"]["maximum"] == 99
    assert "default" not in found.model.options["seed"]
    assert {"mode", "anything"} <= set(found.model.options)


@pytest.mark.parametrize(
    ("output", "makes"),
    [
        ({"type": "object", "properties": {"a": URI, "b": {"type": "array", "items": URI}}}, "image"),
        ({"type": "object", "properties": {"text": {"type": "string"}, "srt": URI}}, "text"),
        ({"type": "object", "properties": {"score": {"type": "number"}}}, "text"),
        ({"anyOf": [URI, {"type": "null"}]}, "image"),
    ],
)
def test_an_output_with_files_and_no_text_is_its_files(output, makes):
    found = recipe_of(read_model(told(FakeModel("acme/new", {"prompt": {"type": "string"}}, ("prompt",), output, "x"))))
    assert found.model.outputs[0].name == makes
    given = {"a": "https://x/1.png", "b": ["https://x/2.png", None, "no address"], "c": 3}
    assert urls_of(given) == ["https://x/1.png", "https://x/2.png"]


def test_a_model_without_a_schema_takes_nothing_and_is_official():
    body = msgspec.json.encode({"owner": "acme", "name": "x", "latest_version": None})
    found = recipe_of(read_model(body))
    assert (found.version, found.model.options, found.model.capabilities) == ("", {}, ("text-to-text",))
