"""What a person reads of an option's value that a model does not take."""

from __future__ import annotations

import pytest

from automarket.errors import OptionInvalid, OptionUnknown
from automarket.v1.transform_pb2 import TransformHeader
from provider_servers.runtime import Model, Output, Role, Slot
from provider_servers.runtime.options import read_options

RULES = {
    "steps": {"type": "integer", "minimum": 1, "maximum": 50, "default": 28},
    "guidance_scale": {"type": "number", "exclusiveMinimum": 0},
    "aspect_ratio": {"type": "string", "enum": ["1:1", "16:9"], "default": "16:9"},
    "width": {"type": "integer", "minimum": 64, "maximum": 2048},
    "height": {"type": "integer", "minimum": 64, "maximum": 2048},
    "negative_prompt": {"type": "string", "maxLength": 5},
    "size": {"anyOf": [{"enum": ["auto"]}, {"type": "integer", "minimum": 16}]},
    "tags": {"type": "array", "items": {"type": "string"}},
    "only": {"const": 30},
}
IMAGE = Model(
    id="painter",
    capabilities=("text-to-image",),
    inputs=(Slot("text", Role.TEXT),),
    outputs=(Output("image", Role.IMAGE),),
    options=RULES,
)


def refusal(**given):
    header = TransformHeader()
    header.model_options.update(given)
    with pytest.raises(OptionInvalid) as caught:
        read_options(header, IMAGE)
    return caught.value


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"steps": 99}, "steps: 99 is not a whole number of 1 to 50"),
        ({"steps": 1.5}, "steps: 1.5 is not a whole number of 1 to 50"),
        ({"guidance_scale": 0}, "guidance_scale: 0.0 is not a number of more than 0"),
        ({"aspect_ratio": "5:4"}, "aspect_ratio: '5:4' is not one of '1:1', '16:9'"),
        ({"negative_prompt": "abcdef"}, "negative_prompt: 6 characters are not text of at most 5 characters"),
        ({"size": 1}, "size: 1.0 is not 'auto' or a whole number of at least 16"),
        ({"tags": "one"}, "tags: 'one' is not a list"),
        ({"only": 24}, "only: 24.0 is not 30"),
        ({"width": 4096, "height": 64}, "width: 4096 is not a whole number of 64 to 2,048"),
    ],
)
def test_a_refusal_names_the_field_the_range_and_the_value(given, sentence):
    assert refusal(**given).message == f"option model_options.{sentence}"


def test_a_long_value_is_cut():
    assert len(refusal(steps="x" * 500).message) < 200


def test_options_that_exclude_each_other_are_refused_by_their_typed_names():
    header = TransformHeader()
    header.text_to_image.width = 512
    header.text_to_image.height = 512
    header.text_to_image.aspect_ratio = "1:1"
    with pytest.raises(OptionInvalid) as caught:
        read_options(header, IMAGE)
    assert list(caught.value.fields) == ["header.text_to_image.aspect_ratio"]


def test_a_default_does_not_hold_beside_what_excludes_it():
    header = TransformHeader()
    assert read_options(header, IMAGE) == {"steps": 28, "aspect_ratio": "16:9"}
    header.text_to_image.width = header.text_to_image.height = 512
    assert read_options(header, IMAGE) == {"steps": 28, "width": 512, "height": 512}


def test_a_family_option_that_the_model_lacks_names_what_comes_nearest():
    header = TransformHeader()
    header.text_to_image.count = 2
    with pytest.raises(OptionUnknown) as caught:
        read_options(header, IMAGE)
    assert caught.value.hint.startswith("it takes aspect_ratio")
    header = TransformHeader()
    header.model_options["num_inference_steps"] = 3
    with pytest.raises(OptionUnknown, match="did you mean steps"):
        read_options(header, IMAGE)
