"""Schemas of the options that families share, for authors."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from automarket.families import FAMILIES
from automarket.v1.transform_pb2 import TransformHeader
from provider_servers.runtime.family_options import families, family_schemas

TYPES = {
    "TYPE_INT32": "integer",
    "TYPE_INT64": "integer",
    "TYPE_DOUBLE": "number",
    "TYPE_BOOL": "boolean",
    "TYPE_STRING": "string",
}
ELSEWHERE = {"text_to_text", "audio_conversion", "video_to_image", "video_composition"}


@pytest.mark.parametrize("family", families())
def test_a_family_has_a_schema_for_each_field_of_the_contract(family):
    fields = TransformHeader.DESCRIPTOR.fields_by_name[family].message_type.fields_by_name
    schemas = family_schemas(family)
    assert set(schemas) == set(fields)
    for name, schema in schemas.items():
        Draft202012Validator.check_schema(schema)
        message = fields[name].message_type
        kind = "number" if message is not None and message.name == "Duration" else "object"
        if message is None:
            kind = TYPES[next(one for one in TYPES if getattr(fields[name], one) == fields[name].type)]
        assert schema["type"] == kind, name
        assert schema["description"].endswith("."), name


def test_every_family_of_generation_has_schemas():
    assert set(families()) == set(FAMILIES.values()) - ELSEWHERE


def test_an_author_names_what_the_model_takes_and_how():
    schemas = family_schemas("image-to-video", "prompt", "fps", fps={"minimum": 10, "maximum": 60, "default": 24})
    assert list(schemas) == ["prompt", "fps"]
    assert schemas["fps"]["maximum"] == 60
    assert schemas["fps"]["description"] == "Pictures a second."


@pytest.mark.parametrize("wrong", [("no_family",), ("image_to_video", "steps")])
def test_a_name_that_is_none_is_an_authors_mistake(wrong):
    with pytest.raises(KeyError):
        family_schemas(*wrong)


def test_a_change_of_an_option_that_is_not_taken_is_an_authors_mistake():
    with pytest.raises(KeyError, match="fps is changed"):
        family_schemas("image_to_video", "prompt", fps={"minimum": 1})


@pytest.mark.parametrize("family", ["text_to_speech", "speech_to_text", "text_to_text"])
def test_families_of_speech_and_language_have_schemas_for_models_of_vendors(family):
    fields = TransformHeader.DESCRIPTOR.fields_by_name[family].message_type.fields_by_name
    assert set(family_schemas(family)) <= set(fields)
