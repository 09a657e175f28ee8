"""Endpoints as models: what the vendor's own schemas say of inputs, ranges, choices and defaults."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from provider_servers.fal.endpoints import built_in
from provider_servers.fal.openapi import read_openapi
from provider_servers.runtime.options import object_schema
from tests.vendors.fal import openapi

FACTS = json.loads((Path(__file__).parents[2] / "vendors" / "facts" / "fal.json").read_text())
NO_BOUND = 2**53 - 1
INPUTS = {
    "fal-ai/flux/dev": ("text-to-image", ["text"]),
    "fal-ai/flux-pro/v1.1-ultra": ("text-to-image", ["text", "image?"]),
    "fal-ai/flux-pro/kontext": ("image-to-image", ["image"]),
    "fal-ai/esrgan": ("image-upscale", ["image"]),
    "half-moon-ai/ai-face-swap/faceswapimage": ("image-to-image", ["image", "face"]),
    "half-moon-ai/ai-face-swap/faceswapvideo": ("face-swap", ["video", "face"]),
    "fal-ai/pixverse/swap": ("face-swap", ["video", "face"]),
    "fal-ai/framepack/flf2v": ("image-to-video", ["image", "end_image"]),
    "fal-ai/wan/v2.2-a14b/image-to-video": ("image-to-video", ["image", "end_image?"]),
    "fal-ai/fast-svd/text-to-video": ("text-to-video", ["text"]),
    "fal-ai/video-upscaler": ("video-upscale", ["video"]),
    "fal-ai/ai-avatar": ("avatar-generation", ["image", "speech"]),
    "fal-ai/creatify/aurora": ("avatar-generation", ["image", "speech"]),
    "fal-ai/sync-lipsync/v2": ("lip-sync", ["video", "speech"]),
}
ALIASES = {
    "flux-pro": "fal-ai/flux-pro/v1.1",
    "stable-video-diffusion": "fal-ai/stable-video",
    "video-enhance": "fal-ai/video-upscaler",
    "face-swap": "half-moon-ai/ai-face-swap/faceswapvideo",
    "runway-gen3": "fal-ai/runway-gen3/turbo/image-to-video",
}


def bounds(rule):
    """Give a schema's bounds, choices and default, without those that are none."""
    ways = [one for one in rule.get("anyOf", ()) if one]
    rule = {**(ways[0] if len(ways) == 1 else {}), **rule}
    names = ("minimum", "maximum", "default", "maxLength", "enum")
    return {name: rule[name] for name in names if name in rule and abs_of(rule[name]) < NO_BOUND}


def abs_of(value):
    return abs(value) if isinstance(value, int | float) else 0


def taken(endpoint):
    return [slot.name + "?" * slot.optional for slot in endpoint.model.inputs]


def test_there_are_33_endpoints_and_all_are_models():
    assert len(FACTS) == 33
    assert FACTS.keys() <= built_in().keys()


@pytest.mark.parametrize("name", FACTS)
def test_an_endpoint_takes_all_that_its_schema_lists_in_its_ranges(name):
    endpoint, schema = built_in()[name], FACTS[name]["input"]
    Draft202012Validator.check_schema(object_schema(endpoint.model.options))
    of_vendor = {row.field: row.option for row in endpoint.options.rows() if row.field and "/" not in row.field}
    placed = {endpoint.text, *endpoint.media.values()}
    for field, rule in schema["properties"].items():
        if field in placed:
            slots = [*endpoint.media.items(), ("text", endpoint.text)]
            slot = next(one for one in endpoint.model.inputs if (one.name, field) in slots)
            assert slot.optional == (field not in schema["required"])
        elif field in of_vendor:
            mapped = endpoint.model.options[of_vendor[field]]
            given = bounds(rule)
            if rule.get("type") in ("integer", "number") and of_vendor[field] != "motion_strength":
                assert {key: mapped.get(key) for key in ("minimum", "maximum") if key in given} == {
                    key: given[key] for key in ("minimum", "maximum") if key in given
                }
                assert mapped.get("default") == given.get("default")
        elif field in endpoint.model.options:
            assert bounds(endpoint.model.options[field]).items() >= bounds(rule).items()
        else:
            assert field in ("sync_mode", "request_id", "upscale_mode", "num_frames"), field
    assert endpoint.model.long_running
    assert endpoint.model.resumable
    assert endpoint.model.from_vendor_schema


@pytest.mark.parametrize("name", INPUTS)
def test_what_an_endpoint_does_and_takes(name):
    capability, slots = INPUTS[name]
    endpoint = built_in()[name]
    assert (endpoint.model.capabilities, taken(endpoint)) == ((capability,), slots)


def test_endpoints_have_the_names_that_people_know():
    named = {alias: name for name, one in built_in().items() for alias in one.model.aliases}
    assert ALIASES.items() <= named.items()
    assert built_in()["fal-ai/runway-gen3/turbo/image-to-video"].gone


@pytest.mark.parametrize("name", FACTS)
def test_an_endpoint_that_is_read_from_its_own_document_is_the_same_model(name):
    read = read_openapi(name, openapi(name, FACTS[name]), {"display_name": "X"})
    known = built_in()[name]
    if name != "fal-ai/pixverse/swap":  # its schema does not say that the picture is of a face
        assert (read.model.capabilities, taken(read)) == (known.model.capabilities, taken(known))
    assert set(read.model.options) >= set(known.model.options) - {"fps", "video_length"}
    assert (read.makes, read.text) == (known.makes, known.text)


TEXT = {"type": "object", "properties": {"x": {"type": "string"}}}
MESH = {"input": TEXT, "output": {"type": "object", "properties": {"mesh": {}}}}


@pytest.mark.parametrize("document", [None, {}, {"paths": []}, {"paths": {"/x": {"post": 3}}}, openapi("a/b", MESH)])
def test_a_document_that_is_none_is_no_model(document):
    assert read_openapi("a/b", document, {}) is None
