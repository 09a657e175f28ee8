"""Options of a family in a vendor's terms, made from schemas as vendors write them."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from automarket.errors import OptionInvalid
from automarket.v1.transform_pb2 import TransformHeader
from provider_servers.runtime import Model, Output, Role, Slot
from provider_servers.runtime.options import object_schema, read_options
from provider_servers.runtime.vendor_fields import ratio_of
from provider_servers.runtime.vendor_options import VendorOptions

NONE = 9007199254740991
SEED = {"anyOf": [{"type": "integer", "minimum": -NONE, "maximum": NONE}, {}]}
SIZE = {
    "anyOf": [
        {
            "type": "object",
            "properties": {
                "height": {"default": 512, "type": "integer", "minimum": -NONE, "maximum": 14142},
                "width": {"default": 512, "type": "integer", "minimum": -NONE, "maximum": 14142},
            },
        },
        {
            "type": "string",
            "enum": ["square_hd", "square", "portrait_4_3", "portrait_16_9", "landscape_4_3", "landscape_16_9"],
        },
    ]
}
DIFFUSION = {
    "num_images": {"default": 1, "type": "integer", "minimum": 1, "maximum": 4},
    "image_size": SIZE,
    "acceleration": {"type": "string", "enum": ["none", "regular"]},
    "output_format": {"type": "string", "enum": ["jpg", "png"], "default": "jpg"},
    "sync_mode": {"default": False, "type": "boolean"},
    "seed": SEED,
    "num_inference_steps": {"default": 28, "type": "integer", "minimum": 1, "maximum": 50},
}
FRAMES = {
    "prompt": {"type": "string", "maxLength": 500},
    "aspect_ratio": {"type": "string", "enum": ["16x9", "9x16"], "default": "16x9"},
    "num_frames": {"default": 180, "type": "integer", "minimum": 30, "maximum": 900},
    "guidance_scale": {"default": 10, "type": "number", "minimum": 0, "maximum": 32},
    "cfg_scale": {"default": 1, "type": "number", "minimum": 0, "maximum": 7},
}
MOTION = {
    "motion_bucket_id": {"default": 127, "type": "integer", "minimum": 1, "maximum": 255},
    "fps": {"default": 16, "type": "integer", "minimum": 4, "maximum": 60},
    "num_frames": {"default": 81, "type": "integer", "minimum": 17, "maximum": 161},
}
UPSCALE = {
    "upscale_mode": {"type": "string", "enum": ["target", "factor"]},
    "upscale_factor": {"default": 2, "type": "number", "minimum": 1, "maximum": 10},
    "target_resolution": {"type": "string", "enum": ["1080p", "2k", "4k"]},
    "target_fps": {"type": "string", "enum": ["30fps", "60fps"]},
}


def read(family: str, vendor: VendorOptions, **given):
    """Give the vendor's input as a call makes it: options checked, defaults filled in."""
    capability = family.replace("_", "-")
    model = Model("m", (capability,), (Slot("text", Role.TEXT),), (Output("x", Role.IMAGE),), vendor.schemas)
    header = TransformHeader()
    header.model_options.update(given)
    return vendor.to_vendor(read_options(header, model))


def test_fields_become_the_options_of_the_family_with_the_vendors_ranges():
    vendor = VendorOptions("text_to_image", DIFFUSION, hidden=("sync_mode",))
    Draft202012Validator.check_schema(object_schema(vendor.schemas))
    assert set(vendor.schemas) == {
        "aspect_ratio", "width", "height", "count", "steps", "seed", "format", "acceleration",
    }  # fmt: skip
    steps = vendor.schemas["steps"]
    assert (steps["minimum"], steps["maximum"], steps["default"]) == (1, 50, 28)
    assert steps["description"] == "Steps of the diffusion; more take longer."
    assert vendor.schemas["seed"] == {
        "type": "integer",
        "description": "The same seed and options give the same result.",
    }


def test_a_call_is_said_in_the_vendors_names_and_values():
    vendor = VendorOptions("text_to_image", DIFFUSION, hidden=("sync_mode",))
    assert read("text_to_image", vendor, aspect_ratio="1:1", count=2, format={"container": "png"}, seed=7) == {
        "image_size": "square_hd",
        "num_images": 2,
        "num_inference_steps": 28,
        "output_format": "png",
        "seed": 7,
    }


def test_width_and_height_win_over_the_ratio_that_is_usual():
    vendor = VendorOptions("text_to_image", {"image_size": {**SIZE, "default": "landscape_4_3"}})
    assert vendor.schemas["aspect_ratio"]["default"] == "4:3"
    assert read("text_to_image", vendor) == {"image_size": "landscape_4_3"}
    assert read("text_to_image", vendor, width=640, height=480) == {"image_size": {"width": 640, "height": 480}}


def test_sizes_by_name_are_ratios_and_sizes():
    size = {"type": "string", "enum": ["auto", "1024x1024", "1536x1024", "1024x1536"], "default": "auto"}
    vendor = VendorOptions("text_to_image", {"size": size, "n": {"type": "integer", "minimum": 1, "maximum": 10}})
    assert vendor.schemas["aspect_ratio"]["enum"] == ["auto", "1:1", "3:2", "2:3"]
    assert read("text_to_image", vendor, aspect_ratio="3:2", count=3) == {"size": "1536x1024", "n": 3}
    assert read("text_to_image", vendor, width=1024, height=1536) == {"size": "1024x1536"}
    with pytest.raises(OptionInvalid, match=r"1536x1536 .* is not one of 1024x1024, 1536x1024, 1024x1536") as caught:
        read("text_to_image", vendor, width=1536, height=1536)
    assert list(caught.value.fields) == ["header.text_to_image.width"]


def test_width_and_height_of_their_own_put_a_ratio_out_of_force():
    fields = {
        "aspect_ratio": {"type": "string", "enum": ["1:1", "custom"], "default": "1:1"},
        "width": {"type": "integer", "minimum": 256, "maximum": 1440},
        "height": {"type": "integer", "minimum": 256, "maximum": 1440},
    }
    vendor = VendorOptions("text_to_image", fields)
    assert read("text_to_image", vendor) == {"aspect_ratio": "1:1"}
    assert read("text_to_image", vendor, width=300, height=400) == {"width": 300, "height": 400}


def test_seconds_become_pictures_at_the_rate_that_is_known():
    vendor = VendorOptions("image-to-video", FRAMES, frame_rate=30)
    assert vendor.schemas["video_length"]["minimum"] == 1
    assert vendor.schemas["video_length"]["maximum"] == 30
    assert read("image_to_video", vendor, video_length=4.5)["num_frames"] == 135
    assert read("image_to_video", vendor, video_length=4, fps=30)["num_frames"] == 120
    assert read("image_to_video", vendor)["num_frames"] == 180
    assert read("image_to_video", vendor, num_frames=60, aspect_ratio="9:16")["aspect_ratio"] == "9x16"
    with pytest.raises(OptionInvalid, match=r"fps: 24\.0 is not 30"):
        read("image_to_video", vendor, fps=24)
    with pytest.raises(OptionInvalid, match="num_frames: 60 excludes video_length"):
        read("image_to_video", vendor, num_frames=60, video_length=2)


def test_seconds_become_pictures_at_the_rate_that_is_asked_for():
    vendor = VendorOptions("image_to_video", MOTION)
    assert read("image_to_video", vendor, video_length=5) == {"motion_bucket_id": 127, "fps": 16, "num_frames": 80}
    assert read("image_to_video", vendor, video_length=5, fps=24)["num_frames"] == 120
    fault = "10.0 s at 24 pictures a second are 240 pictures, not a whole number of 17 to 161"
    with pytest.raises(OptionInvalid, match=fault) as caught:
        read("image_to_video", vendor, video_length=10, fps=24)
    assert list(caught.value.fields) == ["header.image_to_video.video_length"]
    assert read("text_to_video", VendorOptions("text_to_video", MOTION), duration=5)["num_frames"] == 80


def test_without_any_rate_seconds_are_not_offered():
    assert "video_length" not in VendorOptions("image_to_video", FRAMES).schemas


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"type": "string", "enum": ["5", "10"], "default": "5"}, "10"),
        ({"type": "string", "enum": ["5s", "10s"]}, "10s"),
        ({"type": "integer", "enum": [5, 10]}, 10),
        ({"type": "number", "minimum": 0.5, "maximum": 22}, 10.0),
    ],
)
def test_seconds_are_said_as_the_vendor_writes_them(rule, said):
    vendor = VendorOptions("text_to_video", {"duration": rule})
    assert vendor.schemas["duration"]["type"] in ("number", "integer")
    assert read("text_to_video", vendor, duration=10) == {"duration": said}
    with pytest.raises(OptionInvalid, match="duration: 40"):
        read("text_to_video", vendor, duration=40)


def test_a_strength_is_spread_over_the_vendors_range():
    vendor = VendorOptions("image_to_video", MOTION)
    assert vendor.schemas["motion_strength"]["default"] == pytest.approx(0.496)
    assert read("image_to_video", vendor, motion_strength=0)["motion_bucket_id"] == 1
    assert read("image_to_video", vendor, motion_strength=1)["motion_bucket_id"] == 255


def test_an_upscale_is_by_factor_or_to_a_height():
    vendor = VendorOptions("video_upscale", UPSCALE)
    assert read("video_upscale", vendor) == {"upscale_mode": "factor", "upscale_factor": 2}
    assert read("video_upscale", vendor, resolution="2160p", fps=60) == {
        "upscale_mode": "target",
        "target_resolution": "4k",
        "target_fps": "60fps",
    }


def test_a_field_of_another_kind_than_the_option_of_its_name_is_the_models_own():
    fields = {"quality": {"type": "integer", "minimum": 0, "maximum": 100}, "format": {"enum": ["X264 (.mp4)"]}}
    vendor = VendorOptions("text_to_image", fields)
    assert set(vendor.schemas) == {"vendor_quality", "vendor_format"}
    assert read("text_to_image", vendor, vendor_quality=80) == {"quality": 80}


def test_null_is_left_out():
    fields = {
        "seed": {"type": ["integer", "null"], "default": None},
        "steps": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "default": None},
        "resolution": {"type": "string", "enum": ["480p", None]},
    }
    vendor = VendorOptions("text_to_image", fields)
    assert vendor.schemas["seed"]["type"] == "integer"
    assert vendor.schemas["resolution"]["enum"] == ["480p"]
    assert read("text_to_image", vendor) == {}


def test_a_field_that_no_name_tells_can_be_named():
    vendor = VendorOptions("text_to_image", {"effort": {"type": "integer", "maximum": 9}}, names={"steps": "effort"})
    assert read("text_to_image", vendor, steps=9) == {"effort": 9}


def test_without_a_family_all_fields_are_the_models_own():
    vendor = VendorOptions("", FRAMES)
    assert set(vendor.schemas) == set(FRAMES)
    assert read("text_to_smell", vendor, num_frames=40)["num_frames"] == 40


def test_the_table_says_which_field_is_which_option():
    rows = {row.option: row for row in VendorOptions("image_to_video", FRAMES, frame_rate=30).rows()}
    assert (rows["prompt"].field, rows["prompt"].takes) == ("prompt", "text of at most 500 characters")
    assert (rows["video_length"].field, rows["video_length"].takes) == ("num_frames / fps", "a number of 1 to 30")
    assert rows["guidance_scale"].default == 10
    assert rows["aspect_ratio"].default == "16:9"


@pytest.mark.parametrize(
    ("size", "ratio"), [((1536, 1024), "3:2"), ((1254, 1254), "1:1"), ((2560, 1080), "21:9"), ((1001, 563), "16:9")]
)
def test_a_size_has_a_ratio(size, ratio):
    assert ratio_of(*size) == ratio
