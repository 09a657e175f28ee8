"""What is wrong with an option's value, in a sentence: the value that was given and what the option takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}
_BY_VALUE = ("type", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "anyOf", "oneOf")
_MOST_SHOWN = 60


def option_fault(error: Any) -> str:
    """Say what an error of jsonschema means, in at most 200 characters: "99 is not a whole number of 1 to 50"."""
    if error.validator in _BY_VALUE:
        return f"{_shown(error.instance)} is not {takes(error.schema)}"[:200]
    if error.validator in ("minLength", "maxLength"):
        return f"{len(error.instance)} characters are not {takes(error.schema)}"[:200]
    return str(error.message)[:200]


def takes(rule: Mapping[str, Any]) -> str:
    """Say what a JSON Schema takes: "a whole number of 1 to 50", "one of 'jpeg', 'png'"."""
    if "const" in rule:
        return repr(rule["const"])
    if "enum" in rule:
        values = cast("list[Any]", rule["enum"])
        return repr(values[0]) if len(values) == 1 else "one of " + ", ".join(map(repr, values))
    ways = cast("list[Any]", rule.get("anyOf") or rule.get("oneOf") or [])
    if ways:
        return " or ".join(takes(cast("Mapping[str, Any]", way)) for way in ways if isinstance(way, Mapping) and way)
    parts = cast("Mapping[str, Any]", rule.get("properties") or {})
    if parts:
        return ", ".join(f"{name}: {takes(part)}" for name, part in parts.items())
    kind = _KINDS.get(rule.get("type", ""), "a value")
    return f"{kind}{_range(rule)}"


def _range(rule: Mapping[str, Any]) -> str:
    if rule.get("type") == "string":
        least, most = rule.get("minLength"), rule.get("maxLength")
        unit = " characters"
    else:
        least, most, unit = rule.get("minimum"), rule.get("maximum"), ""
    above, below = rule.get("exclusiveMinimum"), rule.get("exclusiveMaximum")
    if least is not None and most is not None:
        return f" of {least:,} to {most:,}{unit}"
    low = f"at least {least:,}{unit}" if least is not None else f"more than {above:,}" if above is not None else ""
    high = f"at most {most:,}{unit}" if most is not None else f"less than {below:,}" if below is not None else ""
    said = " and ".join(one for one in (low, high) if one)
    return f" of {said}" if said else ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
