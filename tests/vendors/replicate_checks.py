"""What Replicate says of what it refuses, and what it finds wrong with an input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from tests.vendors.http import answer

if TYPE_CHECKING:
    from tests.vendors.http import Reply
    from tests.vendors.replicate_models import FakeModel


def problem(status: int, detail: str, title: str = "", **headers: str) -> Reply:
    body = {"detail": detail, "status": status} | ({"title": title} if title else {})
    return answer(body, status, **{"content_type": "application/problem+json", **headers})


def missing() -> Reply:
    return problem(404, "The requested resource could not be found.")


def faults(model: FakeModel, given: dict[str, Any]) -> dict[str, Any] | None:
    """Give the body of a 422; None where nothing is wrong."""
    schemas = model.schema()["components"]["schemas"]
    rule = {**schemas["Input"], "additionalProperties": False, "components": {"schemas": schemas}}
    found = [_fault(error) for error in Draft202012Validator(rule).iter_errors(given)]
    found += [
        _fetch(name) for name, one in model.inputs.items() if one.get("format") == "uri" and _odd(given.get(name))
    ]
    if not found:
        return None
    said = "".join(f"- {field}: {text}\n" for _, field, text in found)
    invalid = [{"type": kind, "field": field, "description": text} for kind, field, text in found]
    return {"detail": said, "status": 422, "title": "Input validation failed", "invalid_fields": invalid}


def _odd(value: Any) -> bool:
    return value is not None and not str(value).startswith(("http://", "https://", "data:"))


def _fetch(name: str) -> tuple[str, str, str]:
    return "format", f"input.{name}", "Does not match format 'uri'"


def _fault(error: Any) -> tuple[str, str, str]:
    field = ".".join(["input", *map(str, error.absolute_path)])
    value = error.validator_value
    if error.validator == "required":
        return "required", field, f"{error.message.split(chr(39))[1]} is required"
    if error.validator == "minimum":
        return "number_gte", field, f"Must be greater than or equal to {value}"
    if error.validator == "maximum":
        return "number_lte", field, f"Must be less than or equal to {value}"
    if error.validator == "enum":
        listed = ", ".join(f'"{one}"' for one in value)
        return "enum", field, f"{field.rpartition('.')[2]} must be one of the following: {listed}"
    if error.validator == "additionalProperties":
        name = error.message.split("'")[1]
        return "additional_property_not_allowed", field, f"Additional property {name} is not allowed"
    return "invalid_type", field, f"Invalid type. Expected: {value}, given: {type(error.instance).__name__}"
