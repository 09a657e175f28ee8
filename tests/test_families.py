"""Families of options: what fits which model, the nearest option, and options that exclude each other."""

from __future__ import annotations

import pytest

from automarket import capabilities
from automarket.families import FAMILIES, clashes, excluded, families_of, nearest
from automarket.v1.transform_pb2 import TransformHeader


def test_every_family_of_the_contract_belongs_to_a_capability():
    named = {field.name for field in TransformHeader.DESCRIPTOR.oneofs_by_name["options"].fields}
    assert set(FAMILIES.values()) == named
    assert all(capabilities.canonical_name(name) == name and capabilities.find(name) for name in FAMILIES)


def test_a_model_takes_options_of_what_it_does_and_of_what_that_is_a_kind_of():
    assert families_of(["face-swap"]) == {"face_swap", "video_to_video"}
    assert families_of(["text-to-music"]) == {"text_to_audio", "text_to_speech"}
    assert families_of(["text-to-image", "image-to-image"]) == {"text_to_image", "image_to_image"}
    assert families_of(["text-to-smell"]) == frozenset()


@pytest.mark.parametrize(
    ("asked", "known", "near"),
    [
        ("video_length", ["num_frames", "seed"], "num_frames"),
        ("num_frames", ["duration", "seed"], "duration"),
        ("num_inference_steps", ["steps", "seed"], "steps"),
        ("motion_strength", ["motion_bucket_id"], "motion_bucket_id"),
        ("width", ["aspect_ratio", "seed"], "aspect_ratio"),
        ("resolution", ["scale"], "scale"),
        ("langauge", ["language", "prompt"], "language"),
        ("seeds", ["seed"], "seed"),
        ("fps", ["duration", "seed"], ""),
        ("zzz", ["seed"], ""),
    ],
)
def test_the_nearest_option_is_found_by_meaning_or_by_spelling(asked, known, near):
    assert nearest(asked, known) == near


@pytest.mark.parametrize(
    ("family", "options", "names"),
    [
        ("text_to_image", {"width": 512}, ["width"]),
        ("text_to_image", {"height": 512, "aspect_ratio": "1:1"}, ["aspect_ratio", "height"]),
        ("text_to_image", {"width": 512, "height": 512}, []),
        ("image_to_video", {"num_frames": 30, "video_length": 1}, ["num_frames"]),
        ("image_to_video", {"fps": 30, "video_length": 1}, []),
        ("video_upscale", {"scale": 2, "resolution": "1080p"}, ["scale"]),
        ("text_to_video", {"scale": 2, "resolution": "1080p"}, []),
    ],
)
def test_options_that_cannot_be_given_together_are_named(family, options, names):
    assert [name for name, _ in clashes((family,), options)] == names


def test_a_clash_says_both_values():
    [(_, fault)] = clashes(("image_to_video",), {"num_frames": 30, "video_length": 1.5})
    assert fault == "30 excludes video_length, which is 1.5: give one of them"


def test_what_is_set_puts_out_of_force_the_default_of_what_it_excludes():
    assert excluded(("video_upscale",), {"resolution"}) == {"scale"}
    assert excluded(("text_to_image",), {"aspect_ratio"}) == {"width", "height"}
    assert excluded(("text_to_image",), {"seed"}) == frozenset()
