"""What an option takes, in words, out of its JSON Schema."""

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


def unfit(value: Any, rule: Mapping[str, Any]) -> str:
    """Say why a plain number or text is none that a JSON Schema takes; empty where it may be, or is no plain one.

    A provider checks everything; this spares its caller the way there, with everything that has to be uploaded first.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str) or "anyOf" in rule or "oneOf" in rule:
        return ""
    if "enum" in rule:
        fits = value in rule["enum"]
    elif isinstance(value, str):
        fits = rule.get("minLength", 0) <= len(value) <= rule.get("maxLength", len(value))
        if not fits:
            return f"{len(value):,} characters are not {takes(rule)}"
    else:
        fits = rule.get("minimum", value) <= value <= rule.get("maximum", value)
    return "" if fits else f"{_shown(value)} is not {takes(rule)}"


def takes(rule: Mapping[str, Any]) -> str:
    """Say what a JSON Schema takes: "a whole number of 1 to 50", "one of 'jpeg', 'png'"."""
    if "const" in rule:
        return _shown(rule["const"])
    if "enum" in rule:
        values = cast("list[Any]", rule["enum"])
        return _shown(values[0]) if len(values) == 1 else "one of " + ", ".join(map(_shown, values))
    ways = cast("list[Any]", rule.get("anyOf") or rule.get("oneOf") or [])
    if ways:
        return " or ".join(takes(cast("Mapping[str, Any]", way)) for way in ways if isinstance(way, Mapping) and way)
    parts = cast("Mapping[str, Any]", rule.get("properties") or {})
    if parts:
        return ", ".join(f"{name}: {takes(part)}" for name, part in parts.items())
    named = rule.get("type", "")
    kinds = cast("list[Any]", named) if isinstance(named, list) else [named]
    kind = next((_KINDS[one] for one in kinds if one in _KINDS), "a value")
    return f"{kind}{_range(rule)}"


def _range(rule: Mapping[str, Any]) -> str:
    if rule.get("type") == "string":
        least, most = rule.get("minLength"), rule.get("maxLength")
        unit = " characters"
    else:
        least, most, unit = rule.get("minimum"), rule.get("maximum"), ""
    above, below = rule.get("exclusiveMinimum"), rule.get("exclusiveMaximum")
    if least is not None and most is not None:
        return f" of {_number(least)} to {_number(most)}{unit}"
    low = _bound("at least", least, unit) or _bound("more than", above)
    high = _bound("at most", most, unit) or _bound("less than", below)
    said = " and ".join(one for one in (low, high) if one)
    return f" of {said}" if said else ""


def _bound(words: str, value: float | None, unit: str = "") -> str:
    return "" if value is None else f"{words} {_number(value)}{unit}"


def _shown(value: Any) -> str:
    return _number(value) if isinstance(value, float) else repr(value)


def _number(value: float) -> str:
    """Write a number: schemas that have travelled have floating-point ones only."""
    return f"{int(value):,}" if float(value).is_integer() else f"{value:,}"
