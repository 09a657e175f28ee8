"""Options of a model on Replicate: the family's names for what the model's schema lists, and the schema's own names.

`NAMES` says by which names models have what a family calls so; the rest of a schema's inputs keep their names. Ranges,
defaults and choices are always the schema's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from automarket.assets.formats import by_name
from provider_servers.runtime.options import family_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from provider_servers.replicate.cog import CogInput

NAMES: dict[str, tuple[str, ...]] = {
    "prompt": ("prompt", "text_prompt", "question", "edit_instruction"),
    "negative_prompt": ("negative_prompt",),
    "width": ("width",),
    "height": ("height",),
    "aspect_ratio": ("aspect_ratio",),
    "count": ("num_outputs", "num_images", "number_of_images", "num_samples"),
    "steps": ("num_inference_steps", "steps", "num_steps", "inference_steps", "sample_steps"),
    "guidance_scale": ("guidance_scale", "guidance", "cfg_scale", "cfg", "classifier_free_guidance"),
    "seed": ("seed",),
    "format": ("output_format", "format", "audio_format"),
    "quality": ("quality",),
    "background": ("background",),
    "strength": ("prompt_strength", "strength", "image_strength"),
    "scale": ("scale", "upscale", "upscale_factor", "scale_factor"),
    "creativity": ("creativity",),
    "face_restore": ("face_restore", "face_enhance", "face_enhancement"),
    "duration": ("duration", "length", "seconds", "seconds_total", "audio_length_in_s"),
    "video_length": ("duration", "video_length", "length", "seconds"),
    "num_frames": ("num_frames", "video_frames", "frames"),
    "fps": ("fps", "frames_per_second", "frame_rate", "target_fps"),
    "resolution": ("resolution", "target_resolution"),
    "camera_motion": ("camera_motion",),
    "motion_strength": ("motion_strength",),
    "teacache": ("teacache", "use_teacache"),
    "voice": ("voice", "voice_id", "speaker"),
    "speed": ("speed",),
    "language": ("language", "lang"),
    "translate": ("translate",),
    "lyrics": ("lyrics",),
    "system_prompt": ("system_prompt",),
    "max_tokens": ("max_tokens", "max_new_tokens", "max_completion_tokens", "max_length"),
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "top_k": ("top_k",),
    "presence_penalty": ("presence_penalty",),
    "frequency_penalty": ("frequency_penalty",),
}
"""The family's name, and the names in schemas that mean it, the likeliest first."""

_RESOLUTIONS = {"4k": "2160p", "2k": "1440p", "fhd": "1080p", "hd": "720p", "sd": "480p"}
_NUMBER = re.compile(r"(\d+(?:\.\d+)?) ?s?")
_SECONDS = ("duration", "video_length")
_KINDS: dict[str, tuple[str, ...]] = {
    "quality": ("string",),
    "background": ("string",),
    "aspect_ratio": ("string",),
    "resolution": ("string", "integer"),
    "teacache": ("boolean",),
    "scale": ("number", "integer"),
}


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        name: ours.
        vendor: the model's.
        rule: JSON Schema of our values.
        encode: makes the vendor's value of ours.
        required: the vendor refuses a call without it.
    """

    name: str
    vendor: str
    rule: dict[str, Any]
    encode: Callable[[Any], Any]
    required: bool = False


def options_of(inputs: Sequence[CogInput], capability: str) -> tuple[Option, ...]:
    """Give the options that inputs become, those of the capability's family by its names."""
    left = {one.name: one for one in inputs}
    found: dict[str, Option] = {}
    fields = family_options(capability)
    for name, vendor_names in NAMES.items():
        known = next((left[one] for one in vendor_names if one in left and _fits(name, left[one])), None)
        if name in fields and known is not None:
            made = _of_family(name, known)
            if made is not None:
                found[known.name] = made
                del left[known.name]
    own = {name: Option(name, name, _rule(one), _same, one.required) for name, one in left.items()}
    # A name of the family that the model gives to something else would be taken for the family's.
    own = {name: one for name, one in own.items() if name not in {made.name for made in found.values()}}
    return tuple((found | own)[one.name] for one in inputs if one.name in found or one.name in own)


def _fits(name: str, one: CogInput) -> bool:
    kinds = _KINDS.get(name)
    return kinds is None or one.rule.get("type") in kinds


def _of_family(name: str, one: CogInput) -> Option | None:
    """Give the family's option for an input; None where its values are none that the family has."""
    rule, encode = _rule(one), _same
    if name == "format":
        values = {known.name: value for value in _choices(one) if (known := by_name(str(value))) is not None}
        if not values:
            return None
        return Option(name, one.name, _container(rule, values), lambda given: values.get(given.get("container")))
    if name in _SECONDS or name == "resolution":
        read = _seconds if name in _SECONDS else _lines
        values = {read(value): value for value in _choices(one)}
        if None in values:
            return None if name in _SECONDS else Option(name, one.name, rule, encode, one.required)
        if values:
            rule, encode = _renamed(rule, values, read), values.get
    return Option(name, one.name, rule, encode, one.required)


def _same(value: Any) -> Any:
    return value


def _rule(one: CogInput) -> dict[str, Any]:
    return {name: value for name, value in one.rule.items() if not name.startswith("x-")}


def _choices(one: CogInput) -> list[Any]:
    return cast("list[Any]", one.rule.get("enum") or [])


def _container(rule: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    known = by_name(str(rule.get("default", "")))
    made: dict[str, Any] = {
        "type": "object",
        "properties": {"container": {"type": "string", "enum": list(values)}},
        "additionalProperties": False,
        "description": rule.get("description", ""),
    }
    return made | ({"default": {"container": known.name}} if known is not None else {})


def _renamed(rule: dict[str, Any], values: Mapping[Any, Any], read: Callable[[Any], Any]) -> dict[str, Any]:
    """Give a rule with our values for the vendor's."""
    kind = "string" if any(isinstance(value, str) for value in values) else "number"
    default = {"default": read(rule["default"])} if "default" in rule else {}
    return {**rule, "type": kind, "enum": list(values), **default}


def _seconds(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    found = _NUMBER.fullmatch(str(value))
    number = float(found[1]) if found else None
    return int(number) if number is not None and number.is_integer() else number


def _lines(value: Any) -> str | None:
    text = str(value).lower()
    text = _RESOLUTIONS.get(text, f"{text}p" if text.isdecimal() else text)
    return text if re.fullmatch(r"\d+p", text) else None
