"""What vendors call the options that families share, and how they say their values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as part
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable

FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "prompt": ("prompt", "text_prompt", "question"),
    "aspect_ratio": ("aspect_ratio", "ratio", "image_size", "video_size", "size"),
    "count": ("num_images", "num_outputs", "number_of_images", "n", "count"),
    "steps": ("num_inference_steps", "steps", "num_steps", "inference_steps"),
    "guidance_scale": ("guidance_scale", "guidance", "cfg_scale", "cfg", "prompt_guidance_scale"),
    "format": ("output_format", "format"),
    "strength": ("strength", "prompt_strength", "denoising_strength"),
    "scale": ("upscale_factor", "scale_factor", "scale"),
    "face_restore": ("face_restore", "face_enhancement", "face_enhance", "face"),
    "max_tokens": ("max_tokens", "max_new_tokens", "max_completion_tokens", "max_length"),
    "duration": ("duration", "duration_seconds", "seconds", "video_length"),
    "video_length": ("video_length", "duration", "duration_seconds", "seconds"),
    "resolution": ("resolution", "target_resolution"),
    "motion_strength": ("motion_strength", "motion_bucket_id"),
    "fps": ("fps", "frames_per_second", "frame_rate", "target_fps"),
    "num_frames": ("num_frames", "frame_num"),
    "teacache": ("teacache", "use_teacache", "enable_teacache"),
    "avatar": ("avatar", "avatar_id", "creator"),
    "voice": ("voice", "voice_id", "accent", "speaker"),
    "language": ("language", "lang", "language_code"),
}
"""The fields that vendors have for an option, most usual first; an option that is not here has its own name."""

_RATIO_NAMES: Final = {
    "square_hd": "1:1",
    "square": "1:1",
    "portrait_4_3": "3:4",
    "portrait_16_9": "9:16",
    "landscape_4_3": "4:3",
    "landscape_16_9": "16:9",
}
_RESOLUTION_NAMES: Final = {"2k": "1440p", "4k": "2160p"}
_CONTAINERS: Final = {"jpg": "jpeg"}
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*(?:s|sec|seconds|fps)?")
_PAIR = re.compile(r"(\d+)\s*[x:/]\s*(\d+)")
_NO_BOUND = 2**53 - 1  # what schemas made from JavaScript write where there is none
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_KEPT = (*_BOUNDS, "enum", "const", "default", "maxLength", "minLength")
_LARGEST_RATIO = 32  # a larger number is pixels

MODES: Final = {"resolution": "target", "scale": "factor"}
"""What a vendor's `upscale_mode` is when one of these options is set."""


@dataclass(frozen=True, slots=True)
class Said:
    """One option of a family, as a vendor has it.

    Attributes:
        field: the vendor's; empty where it has none and the value is fixed.
        schema: what the option takes.
        say: gives the vendor's value.
        sides: of a field that takes sizes: schemas of "width" and "height".
        sizes: of a field that takes certain sizes only: the vendor's names of them, by width and height.
    """

    field: str
    schema: Mapping[str, Any]
    say: Callable[[Any], Any]
    sides: Mapping[str, Any] = part(default_factory=dict[str, Any])
    sizes: Mapping[tuple[int, int], str] = part(default_factory=dict[tuple[int, int], str])


def plain(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Give a vendor's schema without what says nothing.

    That is: alternatives that take anything, bounds that are none, and null, which leaving the option out says as well.
    """
    ways = [one for one in rule.get("anyOf", ()) if one and one.get("type") != "null"]
    rest = {name: value for name, value in rule.items() if name != "anyOf" and not name.startswith("x-")}
    made = {**ways[0], **rest} if len(ways) == 1 else {**rest, "anyOf": ways} if ways else rest
    if isinstance(kinds := made.get("type"), list):
        named = [one for one in cast("list[Any]", kinds) if one != "null"]
        made["type"] = named[0] if len(named) == 1 else named
    if isinstance(choices := made.get("enum"), list):
        made["enum"] = [one for one in cast("list[Any]", choices) if one is not None]
    return {name: value for name, value in made.items() if not _is_nothing(name, value)}


def _is_nothing(name: str, value: Any) -> bool:
    no_bound = name in _BOUNDS and isinstance(value, int | float) and abs(value) >= _NO_BOUND
    return no_bound or (name == "default" and value is None)


def read_field(option: str, field_name: str, rule: Mapping[str, Any], usual: Mapping[str, Any]) -> Said | None:
    """Say how a vendor's field takes an option; None when the field is of another kind than the option.

    Args:
        option: the family's name.
        field_name: the vendor's name.
        rule: the vendor's schema, made plain.
        usual: the family's schema.
    """
    reader = _READERS.get(option, _same)
    return reader(field_name, rule, usual)


def ratio_of(width: int, height: int) -> str:
    """Give the aspect ratio of a size: 1536 x 1024 is "3:2"; one that has no short name is the nearest that has."""
    divisor = math.gcd(width, height)
    wide, high = width // divisor, height // divisor
    if max(wide, high) <= _LARGEST_RATIO:
        return {"7:3": "21:9", "3:7": "9:21", "8:5": "16:10"}.get(f"{wide}:{high}", f"{wide}:{high}")
    known = ((16, 9), (9, 16), (1, 1), (4, 3), (3, 4), (3, 2), (2, 3), (21, 9), (9, 21))
    best = min(known, key=lambda pair: abs(math.log(pair[0] / pair[1] * height / width)))
    return f"{best[0]}:{best[1]}"


def _described(rule: Mapping[str, Any], usual: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Give a schema with the family's description and the vendor's bounds, choices and default."""
    kept = {
        name: rule[name] for name in (*_BOUNDS, "enum", "const", "default", "maxLength", "minLength") if name in rule
    }
    kind = rule.get("type", usual["type"])
    return {"type": kind, **kept, **more, "description": usual["description"]}


def _same(name: str, rule: Mapping[str, Any], usual: Mapping[str, Any]) -> Said | None:
    numbers = ("integer", "number")
    kind = rule.get("type") or _kind_of(rule.get("enum", ()))
    fits = kind == usual["type"] or (kind in numbers and usual["type"] in numbers)
    if not fits or usual["type"] == "object":
        return None
    return Said(name, _described({**rule, "type": kind}, usual), lambda value: value)


def _kind_of(values: Any) -> str:
    if values and all(isinstance(value, str) for value in values):
        return "string"
    return "number" if values and all(isinstance(value, int | float) for value in values) else ""


def _number(name: str, rule: Mapping[str, Any], usual: Mapping[str, Any]) -> Said | None:
    """Read numbers that a vendor writes as text: "5", "8s", "30fps"."""
    choices = rule.get("enum", ())
    if _kind_of(choices) != "string":
        return _same(name, rule, usual)
    said = {float(found[1]): text for text in choices if (found := _NUMBER.fullmatch(text))}
    if len(said) != len(choices):
        return None
    spelt = {text: number for number, text in said.items()}
    more: dict[str, Any] = {"type": "number", "enum": [_short(number) for number in said]}
    if rule.get("default") in spelt:
        more["default"] = _short(spelt[rule["default"]])
    return Said(name, _described(rule, usual, **more), lambda value: said[float(value)])


def _short(number: float) -> float:
    return int(number) if number.is_integer() else number


def _container(name: str, rule: Mapping[str, Any], usual: Mapping[str, Any]) -> Said | None:
    """Read types of pictures and sound: "jpg", "png", "mp3"."""
    said = {_CONTAINERS.get(text, text): text for text in rule.get("enum", ()) if isinstance(text, str)}
    if not said or usual["type"] != "object" or not set(said) <= set(usual["properties"]["container"]["enum"]):
        return None
    container = {"type": "string", "enum": list(said)}
    schema = {**usual, "properties": {"container": container}, "required": ["container"]}
    if rule.get("default") in rule["enum"]:
        schema["default"] = {"container": _CONTAINERS.get(rule["default"], rule["default"])}
    return Said(name, schema, lambda value: said[value["container"]])


def _resolution(name: str, rule: Mapping[str, Any], usual: Mapping[str, Any]) -> Said | None:
    return _renamed(name, rule, usual, lambda text: _RESOLUTION_NAMES.get(text.lower(), text))


def _renamed(name: str, rule: Mapping[str, Any], usual: Mapping[str, Any], rename: Callable[[str], str]) -> Said | None:
    choices = rule.get("enum", ())
    if _kind_of(choices) != "string":
        return None
    said: dict[str, str] = {}
    for text in choices:
        said.setdefault(rename(text), text)
    more: dict[str, Any] = {"type": "string", "enum": list(said)}
    if rule.get("default") in choices:
        more["default"] = rename(rule["default"])
    return Said(name, _described(rule, usual, **more), lambda value: said[value])


def _ratio(name: str, rule: Mapping[str, Any], usual: Mapping[str, Any]) -> Said | None:
    """Read ratios in any form: "16:9", "9x16", "landscape_16_9", "1536x1024", and sizes as an object."""
    ways = [cast("Mapping[str, Any]", one) for one in rule.get("anyOf", ()) if isinstance(one, Mapping)] or [rule]
    choices = next((one for one in ways if _kind_of(one.get("enum", ())) == "string"), None)
    if choices is None:
        return None
    rule = {**choices, **{key: value for key, value in rule.items() if key == "default"}}
    said = _renamed(name, rule, usual, _ratio_name)
    sides = next((one["properties"] for one in ways if {"width", "height"} <= set(one.get("properties", ()))), None)
    if said is None:
        return None
    if sides:
        return Said(name, said.schema, said.say, sides={side: _side(sides[side]) for side in ("width", "height")})
    sizes = {pair: text for text in choices["enum"] if (pair := _size(text)) is not None}
    if not sizes:
        return said
    taken = {"width": sorted({wide for wide, _ in sizes}), "height": sorted({high for _, high in sizes})}
    return Said(name, said.schema, said.say, {side: _choice_of(values) for side, values in taken.items()}, sizes)


def _side(rule: Mapping[str, Any]) -> dict[str, Any]:
    bounds = {name: value for name, value in plain(rule).items() if name in _BOUNDS}
    return {"minimum": 1, **bounds}


def _choice_of(values: list[int]) -> dict[str, Any]:
    return {"enum": values}


def _ratio_name(text: str) -> str:
    if text in _RATIO_NAMES:
        return _RATIO_NAMES[text]
    pair = _PAIR.fullmatch(text)
    return ratio_of(int(pair[1]), int(pair[2])) if pair and _is_size(pair) else f"{pair[1]}:{pair[2]}" if pair else text


def _size(text: str) -> tuple[int, int] | None:
    pair = _PAIR.fullmatch(text)
    return (int(pair[1]), int(pair[2])) if pair and _is_size(pair) else None


def _is_size(pair: re.Match[str]) -> bool:
    return min(int(pair[1]), int(pair[2])) > _LARGEST_RATIO


def _part(name: str, rule: Mapping[str, Any], usual: Mapping[str, Any]) -> Said | None:
    """Read a strength that the vendor counts from its least to its most: 0 to 1 here."""
    low, high = rule.get("minimum"), rule.get("maximum")
    if rule.get("type") not in ("integer", "number") or low is None or high is None or high <= low:
        return None
    if (low, high) == (0, 1):
        return _same(name, rule, usual)
    whole = rule["type"] == "integer"
    schema = dict(usual)
    if "default" in rule:
        schema["default"] = round((rule["default"] - low) / (high - low), 3)

    def say(value: float) -> float:
        found = low + value * (high - low)
        return round(found) if whole else found

    return Said(name, schema, say)


_READERS: Final[dict[str, Callable[[str, Mapping[str, Any], Mapping[str, Any]], Said | None]]] = {
    "duration": _number,
    "video_length": _number,
    "fps": _number,
    "count": _number,
    "format": _container,
    "resolution": _resolution,
    "aspect_ratio": _ratio,
    "motion_strength": _part,
}
