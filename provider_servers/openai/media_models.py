"""OpenAI's models that make pictures, speak and hear, as far as their names tell.

The vendor's list gives ids alone. Sizes, voices and forms are those of its API's description of 2026-08.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from provider_servers.runtime import Model, Output, Role, Slot, family_schemas
from provider_servers.runtime.sound_choice import VendorSound
from provider_servers.runtime.sound_format import SOUND_FORMAT_SCHEMA, SOUND_MEDIA_TYPES
from provider_servers.runtime.subtitles import FORMS

if TYPE_CHECKING:
    from collections.abc import Sequence

EDITS = "/edit"
"""What the id of a model ends with where it changes pictures: its inputs are others."""
RETIRED = {"dall-e-2": "gpt-image-2", "dall-e-3": "gpt-image-2", "gpt-image-1": "gpt-image-2"}
"""Models that the vendor has taken out of service, each with the one to take instead."""
MAX_PROMPT, MAX_SPEECH = 32_000, 4096
MAX_PICTURES, MAX_PICTURE_BYTES = 16, 50_000_000
MAX_UPLOAD_BYTES = 26_214_400
PICTURE_TYPES = ("image/png", "image/jpeg", "image/webp")
HEARD_AS_THEY_ARE = ("audio/mpeg", "audio/wav", "audio/flac", "audio/ogg", "audio/opus", "audio/mp4", "audio/webm")
FEW_SIZES = {"1:1": (1024, 1024), "3:2": (1536, 1024), "2:3": (1024, 1536)}
SIZES = {
    **FEW_SIZES,
    "16:9": (1280, 720),
    "9:16": (720, 1280),
    "4:3": (1152, 864),
    "3:4": (864, 1152),
    "21:9": (1680, 720),
}
STEP, LONGEST, MOST_PIXELS, WIDEST = 16, 3840, 3840 * 2160, 3
VOICES = (
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse"),
)
OLD_VOICES = ("alloy", "ash", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer")
SAMPLES = VendorSound("pcm", "s16le", 24_000)
CONTAINERS = {
    **{one: VendorSound(one, one) for one in ("mp3", "opus", "aac", "flac")},
    "s16le": SAMPLES,
}
"""The vendor's form of each container. Others are made from samples, WAV too: the vendor's does not know its size."""

_PAINTS, _SPEAKS = re.compile(r"gpt-image|chatgpt-image|dall-e"), re.compile(r"(^|-)tts(-|$)")
_HEARS = re.compile(r"^whisper|transcribe")


def media_models(name: str, description: str = "") -> list[Model] | None:
    """Describe the models of a name; None for one that makes no media and does not hear."""
    if _PAINTS.search(name):
        return [_painting(name, description), _editing(name, description)]
    if _SPEAKS.search(name):
        return [_speaking(name, description)]
    return [_hearing(name, description)] if _HEARS.search(name) else None


def few_sizes(model: str) -> bool:
    """Tell whether a model makes pictures of a few sizes only."""
    return model.startswith(("gpt-image-1", "chatgpt-image", "dall-e"))


def _picture_options(name: str) -> dict[str, Any]:
    sizes = FEW_SIZES if few_sizes(name) else SIZES
    counts = {"maximum": 10, "default": 1}
    return {
        **family_schemas(
            "text_to_image",
            *("aspect_ratio", "count", "quality", "background", "format"),
            aspect_ratio={"enum": list(sizes)},
            count=counts,
        ),
        "moderation": {"type": "string", "enum": ["auto", "low"], "description": "How strictly content is filtered."},
        "output_compression": {
            "type": "integer",
            "minimum": 0,
            "maximum": 100,
            "description": "Quality of jpeg and webp; 100 is the best.",
        },
    }


def _painting(name: str, description: str) -> Model:
    bounds = {"enum": [1024, 1536]} if few_sizes(name) else {"minimum": STEP, "maximum": LONGEST, "multipleOf": STEP}
    sides = family_schemas("text_to_image", "width", "height", width=bounds, height=bounds)
    return Model(
        id=name,
        capabilities=("text-to-image",),
        inputs=(Slot("text", Role.TEXT, max_characters=MAX_PROMPT, description="What the picture shows."),),
        outputs=(Output("image", Role.IMAGE, PICTURE_TYPES, streamed=False),),
        options=sides | _picture_options(name),
        canonical_id=f"openai/{name}",
        description=description,
    )


def _editing(name: str, description: str) -> Model:
    prompt = family_schemas("image_to_image", "prompt", prompt={"maxLength": MAX_PROMPT, "minLength": 1})
    own = {
        "input_fidelity": {
            "type": "string",
            "enum": ["low", "high"],
            "description": "How closely faces and the like are kept.",
        }
    }
    options = {key: rule for key, rule in _picture_options(name).items() if key != "moderation"}
    return Model(
        id=name + EDITS,
        capabilities=("image-to-image",),
        inputs=(
            Slot(
                "image",
                Role.IMAGE,
                repeated=True,
                media_types=PICTURE_TYPES,
                max_count=MAX_PICTURES,
                max_bytes=MAX_PICTURE_BYTES,
                description="What is changed.",
            ),
            Slot(
                "mask",
                Role.IMAGE,
                optional=True,
                media_types=("image/png",),
                max_bytes=MAX_PICTURE_BYTES,
                description="Changes only what is transparent in it; as large as the first picture.",
            ),
        ),
        outputs=(Output("image", Role.IMAGE, PICTURE_TYPES, streamed=False),),
        options=prompt | options | own,
        canonical_id=f"openai/{name}{EDITS}",
        description=" ".join(filter(None, ["Changes pictures, or makes one of several.", description])),
    )


def _speaking(name: str, description: str) -> Model:
    old = name.startswith("tts-1")
    options: dict[str, Any] = {
        "voice": {
            "type": "string",
            "minLength": 1,
            "maxLength": 100,
            "default": "alloy",
            "examples": list(OLD_VOICES if old else VOICES),
            "description": f"{', '.join(OLD_VOICES if old else VOICES)}, or the id of a voice of one's own: voice_...",
        },
        "speed": {
            "type": "number",
            "minimum": 0.25,
            "maximum": 4,
            "default": 1,
            "description": "1 is the voice's own.",
        },
        "format": SOUND_FORMAT_SCHEMA,
    }
    if not old:
        options["instructions"] = {
            "type": "string",
            "maxLength": MAX_SPEECH,
            "description": "How to speak: mood, accent, pace.",
        }
    return Model(
        id=name,
        capabilities=("text-to-speech",),
        inputs=(Slot("text", Role.TEXT, max_characters=MAX_SPEECH, description="What to say."),),
        outputs=(Output("speech", Role.SPEECH, SOUND_MEDIA_TYPES),),
        options=options,
        canonical_id=f"openai/{name}",
        description=description,
    )


def _hearing(name: str, description: str) -> Model:
    takes: Sequence[str] = ("language", "prompt", "temperature")
    if name.startswith("whisper"):
        takes = ("language", "translate", "word_timestamps", "prompt", "temperature")
    if "diarize" in name:
        takes = ("language", "temperature")
    options = family_schemas("speech_to_text", *takes, language={"pattern": "^[A-Za-z]{2}(-[A-Za-z0-9-]+)?$"})
    if name.startswith("whisper"):
        options["output_format"] = {
            "type": "string",
            "enum": list(FORMS),
            "default": "text",
            "description": "What the text is: the words, subtitles (srt, vtt), a table (tsv) or all facts (json).",
        }
    return Model(
        id=name,
        capabilities=("speech-to-text",),
        inputs=(
            Slot(
                "audio",
                Role.SPEECH,
                media_types=HEARD_AS_THEY_ARE,
                description=f"What is over {MAX_UPLOAD_BYTES:,} bytes is made smaller first.",
            ),
        ),
        outputs=(Output("text", Role.TEXT, tuple(dict.fromkeys(FORMS.values()))),),
        options=options,
        canonical_id=f"openai/{name}",
        description=description,
    )
