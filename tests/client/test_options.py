"""Keyword options on their way into the contract's messages."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

import pytest
from google.protobuf import json_format

from automarket.client.options import Overlay, check_options, write_options
from automarket.errors import OptionInvalid, OptionUnknown
from automarket.media.info import AudioFormat, ImageFormat
from automarket.v1.transform_pb2 import TransformHeader


class Style(StrEnum):
    PLAIN = "plain"


def written(capability: str, **options) -> dict:
    header = TransformHeader()
    write_options(header, capability, options)
    return json_format.MessageToDict(header, preserving_proto_field_name=True)


def test_options_that_a_family_shares_are_typed_and_the_rest_is_the_models_own():
    assert written("speech-to-text", language="en", temperature=0, beams=5) == {
        "speech_to_text": {"language": "en", "temperature": 0.0},
        "model_options": {"beams": 5.0},
    }


def test_a_capability_without_typed_options_sends_all_as_the_models_own():
    assert written("text-embedding", temperature=0.5) == {"model_options": {"temperature": 0.5}}


def test_seconds_become_durations_and_formats_become_messages():
    options = {"start": 1.5, "duration": dt.timedelta(seconds=2), "format": AudioFormat("wav", 16000, 1)}
    assert written("video-to-audio", **options) == {
        "audio_conversion": {
            "start": "1.500s",
            "duration": "2s",
            "format": {"container": "wav", "sample_rate_hertz": 16000, "channels": 1},
        }
    }
    assert written("video-to-image", times=[0, 1.25], format=ImageFormat(max_width=64))["video_to_image"] == {
        "times": ["0s", "1.250s"],
        "format": {"max_width": 64},
    }


def test_a_format_may_be_named_by_its_container_alone():
    assert written("text-to-image", format="png", seed=2**60)["text_to_image"] == {
        "seed": str(2**60),
        "format": {"container": "png"},
    }
    assert written("text-to-music", format="mp3", duration=30)["text_to_audio"] == {
        "duration": "30s",
        "format": {"container": "mp3"},
    }


def test_options_that_exclude_each_other_are_refused_before_anything_is_sent():
    with pytest.raises(OptionInvalid, match="num_frames: 120 excludes video_length, which is 4") as caught:
        written("image-to-video", num_frames=120, video_length=4)
    assert list(caught.value.fields) == ["header.image_to_video.num_frames"]


def test_options_of_language_models_are_typed_in_every_form():
    made = written(
        "text-to-text", temperature=0, stop="END", tool_choice="weather", tools=[{"name": "weather"}], mine=1
    )
    assert made == {
        "text_to_text": {
            "temperature": 0.0,
            "stop": ["END"],
            "tools": [{"name": "weather"}],
            "tool_choice": {"tool": "weather"},
        },
        "model_options": {"mine": 1.0},
    }
    assert written("text-to-text", tool_choice="required", response_format="text")["text_to_text"] == {
        "tool_choice": {"mode": "TOOL_MODE_REQUIRED"},
        "response_format": {"text": {}},
    }


def test_overlays_may_be_values_or_dictionaries():
    same = {"x": 10, "start": "0.500s", "opacity": 0.5}
    assert written("video-composition", overlays=[Overlay(x=10, start=0.5, opacity=0.5)])["video_composition"] == {
        "overlays": [same]
    }
    assert written("video-composition", overlays=[{"x": 10.0, "start": 0.5, "opacity": 0.5}])["video_composition"] == {
        "overlays": [same]
    }


def test_integers_that_a_double_cannot_hold_travel_as_text():
    options = written("text-embedding", seed=2**60, small=2**53, nested={"list": [2**60, True, None, Style.PLAIN]})
    assert options["model_options"] == {
        "seed": str(2**60),
        "small": float(2**53),
        "nested": {"list": [str(2**60), True, None, "plain"]},
    }


@pytest.mark.parametrize(
    ("capability", "options", "field"),
    [
        ("speech-to-text", {"language": 3}, "header.speech_to_text.language"),
        ("text-to-speech", {"speed": "fast"}, "header.text_to_speech.speed"),
        ("text-to-speech", {"format": 16000}, "header.text_to_speech.format"),
        ("text-to-speech", {"format": {"rate": 1}}, "header.text_to_speech.format.rate"),
        ("video-to-image", {"times": 3}, "header.video_to_image.times"),
        ("video-to-image", {"times": [1, "2"]}, "header.video_to_image.times[1]"),
        ("video-to-image", {"count": 2.5}, "header.video_to_image.count"),
        ("video-composition", {"overlays": [{}, {"x": "left"}]}, "header.video_composition.overlays[1].x"),
        ("text-to-text", {"thing": {"deep": [object()]}}, "header.model_options.thing.deep[0]"),
    ],
)
def test_a_value_that_an_option_cannot_have_names_the_field(capability, options, field):
    with pytest.raises(OptionInvalid) as caught:
        written(capability, **options)
    assert list(caught.value.fields) == [field]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"count": 9}, "option text_to_image.count: 9 is not a whole number of 1 to 4"),
        ({"aspect_ratio": "5:4"}, "option text_to_image.aspect_ratio: '5:4' is not one of '1:1', '16:9'"),
        ({"note": "abcdef"}, "option model_options.note: 6 characters are not text of at most 5 characters"),
        ({"pace": 2.5}, "option model_options.pace: 2.5 is not one of 1, 2"),
    ],
)
def test_a_value_that_the_models_schema_does_not_take_is_refused_before_an_upload(options, sentence):
    schema = {
        "properties": {
            "count": {"type": "integer", "minimum": 1.0, "maximum": 4.0},
            "aspect_ratio": {"type": "string", "enum": ["1:1", "16:9"]},
            "note": {"type": "string", "maxLength": 5.0},
            "pace": {"enum": [1.0, 2.0]},
            "either": {"anyOf": [{"const": 0}, {"minimum": 5}], "minimum": 9},
        }
    }
    with pytest.raises(OptionInvalid) as caught:
        check_options(options, "text-to-image", schema)
    assert caught.value.message == sentence
    assert list(caught.value.fields) == ["header." + sentence.removeprefix("option ").partition(":")[0]]
    check_options({"count": 4, "pace": 1, "note": "abc", "either": 0}, "text-to-image", schema)
    check_options({"count": dt.timedelta(9), "aspect_ratio": None, "note": True}, "text-to-image", schema)
    check_options({"count": 9}, "text-to-image", None)


def test_an_option_that_the_model_does_not_list_is_refused_with_the_nearest_one():
    schema = {"properties": {"language": {}, "prompt": {}}}
    check_options({"language": "en"}, "speech-to-text", schema)
    check_options({"anything": 1}, "speech-to-text", None)
    check_options({"anything": 1}, "speech-to-text", {**schema, "additionalProperties": True})
    with pytest.raises(OptionUnknown, match="did you mean language"):
        check_options({"langauge": "en"}, "speech-to-text", schema)
    with pytest.raises(OptionUnknown, match="it takes: language, prompt"):
        check_options({"zzz": 1}, "speech-to-text", schema)
