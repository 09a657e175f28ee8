"""Options of a call, typed and the model's own."""

from __future__ import annotations

import math

import pytest

from automarket.errors import OptionInvalid, OptionUnknown
from automarket.v1 import transform_pb2
from provider_servers.runtime import Model, Output, Role, Slot
from provider_servers.runtime.options import read_options

NUMBER = {"type": "number", "minimum": 0}
FORMAT = {
    "type": "object",
    "properties": {"container": {"enum": ["wav", "flac"]}, "sample_rate_hertz": {"type": "integer", "minimum": 8000}},
    "additionalProperties": False,
}
MODEL = Model(
    id="convert",
    capabilities=("audio-to-audio",),
    inputs=(Slot("audio", Role.AUDIO),),
    outputs=(Output("audio", Role.AUDIO),),
    options={
        "start": {**NUMBER, "default": 0},
        "duration": NUMBER,
        "format": FORMAT,
        "seed": {"type": "integer"},
        "loudness": {"type": "number", "default": -16.0},
        "tags": {"type": "array", "items": {"type": "integer"}},
    },
)


def header(**own):
    made = transform_pb2.TransformHeader()
    made.model_options.update(own)
    return made


def refused(made, error=OptionInvalid):
    with pytest.raises(error) as caught:
        read_options(made, MODEL)
    return caught.value


def test_defaults_are_filled_in():
    assert read_options(header(), MODEL) == {"start": 0, "loudness": -16.0}


def test_typed_options_and_own_ones_become_one():
    made = header(loudness=-20)
    made.audio_conversion.start.FromMilliseconds(1500)
    made.audio_conversion.format.container = "flac"
    made.audio_conversion.format.sample_rate_hertz = 16_000
    assert read_options(made, MODEL) == {
        "start": 1.5,
        "format": {"container": "flac", "sample_rate_hertz": 16_000},
        "loudness": -20,
    }


@pytest.mark.parametrize("seed", [3, 3.0, "3", -7, str(2**62), "-5"])
def test_whole_numbers_are_whole_however_they_travel(seed):
    value = read_options(header(seed=seed), MODEL)["seed"]
    assert value == int(seed)
    assert isinstance(value, int)


def test_whole_numbers_in_lists_and_objects_are_whole_too():
    options = read_options(header(tags=[1, 2], format={"sample_rate_hertz": 16_000}), MODEL)
    assert [type(one) for one in options["tags"]] == [int, int]
    assert isinstance(options["format"]["sample_rate_hertz"], int)


@pytest.mark.parametrize("seed", [1.5, "x", "1.5", True, "--1", "9" * 40, "\u00b2"])
def test_what_is_no_whole_number_is_refused(seed):
    assert list(refused(header(seed=seed)).fields) == ["header.model_options.seed"]


def test_an_unknown_option_is_refused_with_the_nearest_name():
    error = refused(header(loudnes=1), OptionUnknown)
    assert list(error.fields) == ["header.model_options.loudnes"]
    assert "loudness" in error.hint


def test_a_typed_option_that_the_model_lacks_is_named_by_its_own_field():
    bare = Model("bare", ("audio-to-audio",), MODEL.inputs, MODEL.outputs, options={"seed": {"type": "integer"}})
    made = header()
    made.audio_conversion.start.FromSeconds(1)
    with pytest.raises(OptionUnknown) as caught:
        read_options(made, bare)
    assert list(caught.value.fields) == ["header.audio_conversion.start"]


def test_typed_options_of_another_capability_are_refused():
    made = header()
    made.text_to_speech.speed = 1
    assert list(refused(made).fields) == ["header.text_to_speech"]


def test_an_option_that_is_given_twice_is_refused():
    made = header(start=1)
    made.audio_conversion.start.FromSeconds(1)
    assert list(refused(made).fields) == ["header.model_options.start"]


def test_a_value_out_of_range_names_the_field_however_deep():
    made = header()
    made.audio_conversion.start.FromSeconds(-1)
    assert list(refused(made).fields) == ["header.audio_conversion.start"]
    made = header()
    made.audio_conversion.format.sample_rate_hertz = 1
    assert list(refused(made).fields) == ["header.audio_conversion.format.sample_rate_hertz"]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_number_that_is_not_finite_is_refused(value):
    assert list(refused(header(loudness=value)).fields) == ["header.model_options"]


def test_every_fault_is_named():
    assert set(refused(header(start=-1, duration=-1)).fields) == {
        "header.model_options.start",
        "header.model_options.duration",
    }
