"""The typed options of models that make pictures, video and sound, as JSON Schemas for `Model.options`.

Their names, types and units are the contract's; ranges and defaults are the model's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from provider_servers.runtime.text_options import text_option_schemas

if TYPE_CHECKING:
    from collections.abc import Mapping

IMAGE_TYPES: Final = ("png", "jpeg", "webp")
AUDIO_TYPES: Final = ("wav", "flac", "mp3", "ogg", "opus", "m4a", "aac", "s16le")
RATIOS: Final = ("16:9", "9:16", "1:1")


def _text(description: str, most: int = 100_000) -> dict[str, Any]:
    return {"type": "string", "maxLength": most, "description": description}


def _choice(description: str, *values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values), "description": description}


def _whole(description: str, least: int = 1, most: int | None = None) -> dict[str, Any]:
    bounds = {"minimum": least} if most is None else {"minimum": least, "maximum": most}
    return {"type": "integer", **bounds, "description": description}


def _part(description: str) -> dict[str, Any]:
    return {"type": "number", "minimum": 0, "maximum": 1, "description": description}


def _positive(description: str) -> dict[str, Any]:
    return {"type": "number", "exclusiveMinimum": 0, "description": description}


def _yes(description: str) -> dict[str, Any]:
    return {"type": "boolean", "description": description}


def _object(description: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "description": description,
    }


_SEED = {"type": "integer", "description": "The same seed and options give the same result."}
_NEGATIVE = _text("What it should not show.")
_GUIDANCE = {"type": "number", "minimum": 0, "description": "How closely it follows the text."}
_FPS = _positive("Pictures a second.")
_RATIO = _choice("Width to height.", *RATIOS)
_RESOLUTION = _choice("Height of the video.", "480p", "720p", "1080p")
_MOTION = _part("How much moves: 0 is nothing.")
_FRAMES = _whole("How many pictures.")
_STRENGTH = _part("How far the result may be from the input: 0 is the same.")
_IMAGE_FORMAT = _object("What the picture has to look like.", container={"type": "string", "enum": list(IMAGE_TYPES)})
_AUDIO_FORMAT = _object(
    "What the sound has to look like.",
    container={"type": "string", "enum": list(AUDIO_TYPES)},
    sample_rate_hertz={"type": "integer", "minimum": 1000, "maximum": 384_000},
    channels={"type": "integer", "minimum": 1, "maximum": 8},
)
_PICTURES: dict[str, Any] = {
    "negative_prompt": _NEGATIVE,
    "aspect_ratio": _choice("Width to height.", "1:1", "16:9", "9:16", "4:3", "3:4", "21:9"),
    "count": _whole("How many pictures."),
    "steps": _whole("Steps of the diffusion; more take longer."),
    "guidance_scale": _GUIDANCE,
    "seed": _SEED,
    "format": _IMAGE_FORMAT,
    "quality": _choice("How much detail is worth its time and price.", "low", "medium", "high"),
    "background": _choice("What lies behind.", "transparent", "opaque"),
}

_SCHEMAS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "text_to_image": {
        "width": _whole("Width in pixels, together with height; excludes aspect_ratio."),
        "height": _whole("Height in pixels, together with width; excludes aspect_ratio."),
        **_PICTURES,
    },
    "image_to_image": {"prompt": _text("What the picture should become."), "strength": _STRENGTH, **_PICTURES},
    "image_upscale": {
        "scale": _positive("How many times as wide and as high."),
        "prompt": _text("What the picture shows, for models that invent detail."),
        "creativity": _part("How much detail the model may invent: 0 is none."),
        "face_restore": _yes("Mend faces on the way."),
        "seed": _SEED,
        "format": _IMAGE_FORMAT,
    },
    "image_to_text": {
        "prompt": _text("What to say about the picture."),
        "max_tokens": _whole("How long the text may be, in tokens."),
        "temperature": {"type": "number", "minimum": 0, "maximum": 2, "description": "Randomness; 0 is none."},
    },
    "text_to_video": {
        "duration": _positive("How long the video plays, in seconds."),
        "aspect_ratio": _RATIO,
        "resolution": _RESOLUTION,
        "motion_strength": _MOTION,
        "camera_motion": _choice("How the camera moves.", "static", "pan", "zoom", "rotate"),
        "seed": _SEED,
        "negative_prompt": _NEGATIVE,
        "guidance_scale": _GUIDANCE,
        "fps": _FPS,
    },
    "image_to_video": {
        "prompt": _text("What happens in the video."),
        "num_frames": _whole("How many pictures; excludes video_length."),
        "fps": _FPS,
        "video_length": _positive("How long the video plays, in seconds; excludes num_frames."),
        "guidance_scale": _GUIDANCE,
        "aspect_ratio": _RATIO,
        "teacache": _yes("Take a shortcut that is faster and a little worse."),
        "seed": _SEED,
        "negative_prompt": _NEGATIVE,
        "resolution": _RESOLUTION,
        "motion_strength": _MOTION,
    },
    "video_to_video": {
        "prompt": _text("What the video should become."),
        "negative_prompt": _NEGATIVE,
        "strength": _STRENGTH,
        "resolution": _RESOLUTION,
        "seed": _SEED,
    },
    "video_upscale": {
        "scale": _positive("How many times as wide and as high; excludes resolution."),
        "resolution": _choice("Height of the result; excludes scale.", "720p", "1080p", "1440p", "2160p"),
        "fps": _positive("Pictures a second of the result."),
        "seed": _SEED,
    },
    "face_swap": {
        "face_restore": _yes("Mend the face after it was put in."),
        "background_enhance": _yes("Better what is around the face, too."),
        "detection_threshold": _part("How sure the model has to be that something is a face."),
    },
    "lip_sync": {
        "sync_mode": _choice(
            "What to do when sound and video differ in length.", "cut_off", "loop", "bounce", "silence", "remap"
        ),
        "expressiveness": _part("How much the mouth moves."),
        "seed": _SEED,
    },
    "avatar_generation": {
        "prompt": _text("What the person does, and how."),
        "avatar": _text("One of the provider's own persons by name or id.", 200),
        "voice": _text("One of the provider's own voices by name or id, where the input is text.", 200),
        "aspect_ratio": _RATIO,
        "resolution": _RESOLUTION,
        "num_frames": _FRAMES,
        "fps": _FPS,
        "seed": _SEED,
    },
    "text_to_audio": {
        "duration": _positive("How long the sound plays, in seconds."),
        "prompt_influence": _part("How closely the sound follows the text."),
        "loop": _yes("Make a sound whose end fits its beginning."),
        "seed": _SEED,
        "negative_prompt": _text("What the sound should not have."),
        "lyrics": _text("Words to sing."),
        "format": _AUDIO_FORMAT,
    },
    "text_to_speech": {
        "voice": _text("One of the model's own voices by name.", 200),
        "speed": {"type": "number", "minimum": 0.25, "maximum": 4, "description": "Speed of speaking: 1 is usual."},
        "language": _text("Language to speak.", 100),
        "format": _AUDIO_FORMAT,
    },
    "speech_to_text": {
        "language": _text("Language that is spoken.", 100),
        "translate": _yes("Give the words in English."),
        "word_timestamps": _yes("Give start and end of every word."),
        "prompt": _text("Text that tells the model which words and names to expect.", 10_000),
        "temperature": _part("Randomness: 0 is none."),
    },
}
# Of language models: what is a plain value.
_PLAIN_TEXT: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "text_to_text": text_option_schemas(
        *("temperature", "top_p", "top_k", "max_tokens", "system_prompt", "seed"),
        *("presence_penalty", "frequency_penalty"),
    ),
}


def family_schemas(family: str, *names: str, **changes: Mapping[str, Any]) -> dict[str, Any]:
    """Give JSON Schemas of a family's options, for `Model.options`.

    Args:
        family: by its name in the contract, or a capability's: "image_to_video", "image-to-video".
        names: options that the model takes; none at all means every one.
        changes: for options that the model takes otherwise, members that replace those of the usual schema:
            `fps={"minimum": 10, "maximum": 60, "default": 24}`, `aspect_ratio={"enum": ["16:9", "9:16"]}`.

    Raises:
        KeyError: there is no family, or no option in it, of that name.
    """
    schemas = (_SCHEMAS | _PLAIN_TEXT)[family.replace("-", "_")]
    chosen = names or tuple(schemas)
    for name in changes:
        if name not in chosen:
            message = f"{name} is changed, but it is none of {', '.join(chosen)}"
            raise KeyError(message)
    return {name: {**schemas[name], **changes.get(name, {})} for name in chosen}


def families() -> tuple[str, ...]:
    """Give the names of the families whose options are all here."""
    return tuple(_SCHEMAS)
