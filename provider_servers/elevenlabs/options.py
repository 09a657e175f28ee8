"""The options of ElevenLabs' models: ranges and defaults are the vendor's, names those of the families where they fit.

Source: ElevenLabs' OpenAPI description and the SDK for Python 2.78.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provider_servers.runtime.sound_choice import VendorSound
from provider_servers.runtime.sound_format import SOUND_FORMAT_SCHEMA
from provider_servers.runtime.subtitles import FORMS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PCM_RATES = (8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
SAMPLES = VendorSound("pcm_24000", "s16le", 24_000)
CONTAINERS = {
    "mp3": VendorSound("mp3_44100_128", "mp3", 44_100),
    "opus": VendorSound("opus_48000_128", "opus", 48_000),
    "s16le": SAMPLES,
}
"""The vendor's form of each container. Others are made from samples."""
NAMED = {
    one.name: one
    for one in (
        *(VendorSound(f"mp3_44100_{kbits}", "mp3", 44_100) for kbits in (32, 64, 96, 128, 192)),
        *(VendorSound(f"mp3_{rate}_{kbits}", "mp3", rate) for rate, kbits in ((22_050, 32), (24_000, 48))),
        *(VendorSound(f"opus_48000_{kbits}", "opus", 48_000) for kbits in (32, 64, 96, 128, 192)),
        *(VendorSound(f"pcm_{rate}", "s16le", rate) for rate in PCM_RATES),
    )
}
"""The vendor's forms by its names for them."""

_OUTPUT_FORMAT = {
    "type": "string",
    "enum": list(NAMED),
    "description": "The vendor's own name for a form and its bit rate; excludes `format`. pcm comes as WAV.",
}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_SOUND_OUT = {"format": SOUND_FORMAT_SCHEMA, "output_format": _OUTPUT_FORMAT}


def speech_options(languages: Sequence[str], *, style: bool, speaker_boost: bool) -> dict[str, Any]:
    """Give the options of a model that speaks.

    Args:
        languages: codes of the languages that one may ask for; none where the model finds out by itself.
        style: whether the model has it.
        speaker_boost: whether the model has it.
    """
    options: dict[str, Any] = {
        "voice": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "description": "Id or name of a voice: automarket voices ls elevenlabs. Not set: the account's first one.",
        },
        "speed": {"type": "number", "minimum": 0.7, "maximum": 1.2, "description": "1 is the voice's own."},
        "language": {
            "type": "string",
            "pattern": f"^({'|'.join(languages)})(-[A-Za-z0-9-]+)?$",
            "description": "Language of the text as a BCP 47 tag. Not set: told by the text.",
        },
        **_SOUND_OUT,
        "stability": {**_SHARE, "description": "How even the voice is; less is livelier. Not set: the voice's own."},
        "similarity_boost": {**_SHARE, "description": "How near to the original it stays. Not set: the voice's own."},
        "style": {**_SHARE, "description": "How much the original's style is exaggerated."},
        "use_speaker_boost": {"type": "boolean", "description": "Nearer to the original, and slower."},
        "seed": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1, "description": "The same one sounds the same."},
        "previous_text": {"type": "string", "maxLength": 10_000, "description": "What was said before this text."},
        "next_text": {"type": "string", "maxLength": 10_000, "description": "What is said after it."},
        "apply_text_normalization": {
            "type": "string",
            "enum": ["auto", "on", "off"],
            "description": "Whether numbers and the like are spelt out.",
        },
    }
    absent = {"language": not languages, "style": not style, "use_speaker_boost": not speaker_boost}
    return {name: rule for name, rule in options.items() if not absent.get(name)}


SOUND_OPTIONS: dict[str, Any] = {
    "duration": {
        "type": "number",
        "minimum": 0.5,
        "maximum": 30,
        "description": "How long it plays, in seconds. Not set: the vendor decides.",
    },
    "prompt_influence": {**_SHARE, "default": 0.3, "description": "How closely the sound follows the text."},
    "loop": {"type": "boolean", "default": False, "description": "Make a sound whose end fits its beginning."},
    **_SOUND_OUT,
}


def transcript_options(*, keyterms: bool) -> dict[str, Any]:
    """Give the options of a model that hears; `keyterms` says whether it can be told which words to expect."""
    options: dict[str, Any] = {
        "language": {
            "type": "string",
            "pattern": "^[A-Za-z]{2,3}(-[A-Za-z0-9-]+)?$",
            "description": "What is spoken, as a BCP 47 tag. Not set: the model finds out.",
        },
        "word_timestamps": {"type": "boolean", "default": False, "description": "Give start and end of every word."},
        "temperature": {
            "type": "number",
            "minimum": 0,
            "maximum": 2,
            "description": "Randomness. Not set: the model's own.",
        },
        "diarize": {"type": "boolean", "default": False, "description": "Say who is speaking, before each segment."},
        "num_speakers": {"type": "integer", "minimum": 1, "maximum": 32, "description": "Most people that speak."},
        "tag_audio_events": {"type": "boolean", "default": True, "description": "Write down laughter and the like."},
        "seed": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1, "description": "The same one hears the same."},
        "output_format": {
            "type": "string",
            "enum": list(FORMS),
            "default": "text",
            "description": "What the text is: the words, subtitles (srt, vtt), a table (tsv) or all facts (json).",
        },
        "no_verbatim": {"type": "boolean", "default": False, "description": "Leave out filler words and false starts."},
        "keyterms": {
            "type": "array",
            "maxItems": 1000,
            "items": {"type": "string", "minLength": 1, "maxLength": 50, "pattern": r"^[^<>{}\[\]\\]+$"},
            "description": "Words and names to expect; billed by the vendor as a surcharge.",
        },
    }
    return {name: rule for name, rule in options.items() if keyterms or name not in ("keyterms", "no_verbatim")}


def own(options: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Give those of a call's options that the vendor calls by the same names, as far as they are set."""
    return {name: options[name] for name in names if name in options}
