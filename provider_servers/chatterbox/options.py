"""The options of the model. Ranges and defaults are those of the server's own page."""

from __future__ import annotations

from typing import Any

from provider_servers.runtime.sound_format import SOUND_FORMAT_SCHEMA

MOST_SEED = 2**32 - 1

SCHEMA: dict[str, Any] = {
    "voice": {
        "type": "string",
        "pattern": r"^[^/\\.][^/\\]{0,99}$",
        "examples": ["Emily", "Adrian", "Abigail"],
        "description": "One of the server's own voices. For another voice give a sample of it as input `voice`.",
    },
    "speed": {
        "type": "number",
        "minimum": 0.25,
        "maximum": 4,
        "default": 1,
        "description": "1 is the voice's own.",
    },
    "language": {
        "type": "string",
        "minLength": 2,
        "maxLength": 35,
        "default": "en",
        "description": "Language of the text as a BCP 47 tag. Only the multilingual model speaks others than English.",
    },
    "format": SOUND_FORMAT_SCHEMA,
    "temperature": {
        "type": "number",
        "minimum": 0.05,  # the model divides by it
        "maximum": 1.5,
        "default": 0.8,
        "description": "How much is left to chance; low values sound even.",
    },
    "exaggeration": {
        "type": "number",
        "minimum": 0,
        "maximum": 2,
        "default": 0.5,
        "description": "How expressive the voice is: 0.5 is natural, more is livelier and quicker. Turbo ignores it.",
    },
    "cfg_weight": {
        "type": "number",
        "minimum": 0,
        "maximum": 2,
        "default": 0.5,
        "description": "How closely the voice's own pace is kept: lower is slower. Turbo ignores it.",
    },
    "seed": {
        "type": "integer",
        "minimum": 0,
        "maximum": MOST_SEED,
        "default": 0,
        "description": "The same seed gives the same sound again; with 0 one is drawn for the whole text.",
    },
}
