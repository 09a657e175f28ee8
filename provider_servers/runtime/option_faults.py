"""What is wrong with an option's value, in a sentence: the value that was given and what the option takes."""

from __future__ import annotations

from typing import Any

from automarket.option_words import takes

_BY_VALUE = ("type", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "anyOf", "oneOf")
_MOST_SHOWN = 60


def option_fault(error: Any) -> str:
    """Say what an error of jsonschema means, in at most 200 characters: "99 is not a whole number of 1 to 50"."""
    if error.validator in _BY_VALUE:
        return f"{_shown(error.instance)} is not {takes(error.schema)}"[:200]
    if error.validator in ("minLength", "maxLength"):
        return f"{len(error.instance)} characters are not {takes(error.schema)}"[:200]
    return str(error.message)[:200]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
