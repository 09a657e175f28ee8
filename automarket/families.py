"""Families of options: which of them a capability's models share, and what holds among them beside the models' schemas.

A family is a member of `TransformHeader.options`. The client writes by it, the provider runtime reads by it, and both
refuse what no call can mean, before anything is sent or spent.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final

from automarket import capabilities

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

FAMILIES: Final[dict[str, str]] = {
    "speech-to-text": "speech_to_text",
    "audio-to-text": "speech_to_text",
    "text-to-speech": "text_to_speech",
    "voice-cloning": "text_to_speech",
    "audio-to-audio": "audio_conversion",
    "video-to-audio": "audio_conversion",
    "video-to-image": "video_to_image",
    "video-composition": "video_composition",
    "text-to-text": "text_to_text",
    "text-to-image": "text_to_image",
    "image-to-image": "image_to_image",
    "image-upscale": "image_upscale",
    "image-to-text": "image_to_text",
    "text-to-video": "text_to_video",
    "image-to-video": "image_to_video",
    "video-to-video": "video_to_video",
    "video-upscale": "video_upscale",
    "face-swap": "face_swap",
    "lip-sync": "lip_sync",
    "avatar-generation": "avatar_generation",
    "text-to-audio": "text_to_audio",
    "text-to-music": "text_to_audio",
    "text-to-sound": "text_to_audio",
}
"""The field of `TransformHeader.options` that the capability's models share."""

# Callers that know a text-to-speech model as a text-to-audio one may say how it is to speak.
_ALSO: Final = {"text-to-audio": ("text_to_speech",)}

_EXCLUDES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "text_to_image": (("aspect_ratio", "width"), ("aspect_ratio", "height")),
    "image_to_video": (("num_frames", "video_length"),),
    "video_upscale": (("scale", "resolution"),),
}
_TOGETHER: Final[dict[str, tuple[tuple[str, str], ...]]] = {"text_to_image": (("width", "height"),)}

# What people mean the same by as by the first of a row, or nearly, the nearest first. Spelling would not find them.
_KIN: Final = (
    ("num_frames", "frame_num", "video_length", "duration"),
    ("video_length", "duration", "seconds", "num_frames"),
    ("duration", "video_length", "seconds", "num_frames"),
    ("fps", "frames_per_second", "frame_rate", "target_fps", "num_frames", "video_length"),
    ("width", "height", "image_size", "size", "aspect_ratio", "resolution"),
    ("aspect_ratio", "ratio", "image_size", "size", "width", "resolution"),
    ("resolution", "target_resolution", "scale", "aspect_ratio", "height"),
    ("scale", "upscale_factor", "scale_factor", "resolution"),
    ("count", "num_images", "num_outputs", "n"),
    ("steps", "num_inference_steps", "num_steps", "quality"),
    ("guidance_scale", "guidance", "cfg_scale", "cfg", "prompt_influence", "strength"),
    ("strength", "prompt_strength", "guidance_scale", "creativity"),
    ("motion_strength", "motion_bucket_id", "camera_motion", "expressiveness"),
    ("camera_motion", "motion_strength", "prompt"),
    ("format", "output_format", "response_format", "quality"),
    ("teacache", "acceleration", "steps"),
    ("negative_prompt", "prompt"),
    ("face_restore", "face_enhancement", "face", "background_enhance"),
    ("expressiveness", "motion_strength", "guidance_scale"),
    ("prompt", "text_prompt", "lyrics", "negative_prompt"),
    ("max_tokens", "max_length", "max_new_tokens"),
    ("avatar", "creator", "voice"),
)


def families_of(model_capabilities: Iterable[str]) -> frozenset[str]:
    """Give the families whose options fit a model: those of what it can do, and of what that is a kind of."""
    names = [name for one in model_capabilities for name in capabilities.lineage(one)]
    fit = {FAMILIES[name] for name in names if name in FAMILIES}
    return frozenset(fit | {family for name in names for family in _ALSO.get(name, ())})


def nearest(name: str, known: Collection[str]) -> str:
    """Give the known option that comes nearest to `name`, by meaning or by spelling; empty when none does."""
    spelt = difflib.get_close_matches(name, known, 1, cutoff=0.8)
    if spelt:
        return spelt[0]
    rows = [row for row in _KIN if name == row[0]] or [row for row in _KIN if name in row]
    found = next((one for row in rows for one in row if one != name and one in known), "")
    if found:
        return found
    loosely = difflib.get_close_matches(name, known, 1, cutoff=0.5)
    return loosely[0] if loosely else ""


def clashes(families: Iterable[str], options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Say which options of a call cannot be given as they are, each with why: what a JSON Schema cannot say well.

    Args:
        families: of the model, or of the call.
        options: what the caller set, by name, without defaults.
    """
    for family in families:
        for one, other in _EXCLUDES.get(family, ()):
            if one in options and other in options:
                yield one, f"{options[one]!r} excludes {other}, which is {options[other]!r}: give one of them"
        for one, other in _TOGETHER.get(family, ()):
            lone = one if one in options else other
            if (one in options) != (other in options):
                yield lone, f"{options[lone]!r} goes with {other if lone == one else one} only: give both"


def excluded(families: Iterable[str], options: Collection[str]) -> frozenset[str]:
    """Give the options that those which were set exclude: their defaults do not hold in this call."""
    pairs = [pair for family in families for pair in _EXCLUDES.get(family, ())]
    return frozenset(other for a, b in pairs for one, other in ((a, b), (b, a)) if one in options)
