"""Endpoints of fal.ai that are asked for by their id, read from the platform API's OpenAPI document.

It is assumed that a POST takes the input as JSON, that a GET gives the output, and that what is made is in `images`,
`image`, `video`, `audio` or `audio_file`, or text in `output` or `text`. An endpoint that makes something else is not
offered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from provider_servers.fal.endpoints import MAKES, Endpoint, Facts, read_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_DEPTH = 6
_DROPPED = ("$ref", "allOf", "examples", "ui", "title")


def read_openapi(name: str, document: Any, metadata: Mapping[str, Any]) -> Endpoint | None:
    """Make a model of an endpoint's document; None where its input or its output is none that is known here."""
    schemas = _at(document, "components", "schemas")
    paths = list(_at(document, "paths").values())
    nothing: dict[str, Any] = {}
    taken = next(filter(None, (_json(_at(one, "post", "requestBody")) for one in paths)), nothing)
    given = _resolved(taken, schemas)
    made = next(
        (one for answer in _answers(paths) for one in _at(_resolved(answer, schemas), "properties") if one in MAKES), ""
    )
    if not made or not _at(given, "properties"):
        return None
    facts = Facts(
        {one: _resolved(rule, schemas) for one, rule in _at(given, "properties").items()},
        made,
        tuple(given.get("required") or ()),
        name=str(metadata.get("display_name") or ""),
        description=str(metadata.get("description") or "")[:500],
    )
    return read_endpoint(name, facts)


def _answers(paths: list[Any]) -> Iterator[dict[str, Any]]:
    for one in paths:
        yield _json(_at(one, "get", "responses", "200"))


def _json(holder: dict[str, Any]) -> dict[str, Any]:
    return _at(holder, "content", "application/json", "schema")


def _at(value: Any, *names: str) -> dict[str, Any]:
    """Give the object that lies so deep; empty where there is none."""
    for name in names:
        value = cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _resolved(rule: Any, schemas: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """Give a rule without references, and without what only documentation needs."""
    whole = _at(rule)
    if depth > MAX_DEPTH:
        return {}
    found: dict[str, Any] = {}
    for part in (whole, *cast("list[Any]", whole.get("allOf") or [])):
        target = _at(part).get("$ref")
        if isinstance(target, str):
            found |= _resolved(schemas.get(target.rpartition("/")[2]), schemas, depth + 1)
    found |= {name: one for name, one in whole.items() if name not in _DROPPED and not name.startswith("x-")}
    if isinstance(ways := found.get("anyOf"), list):
        found["anyOf"] = [_resolved(one, schemas, depth + 1) for one in cast("list[Any]", ways)]
    if isinstance(found.get("items"), dict):
        found["items"] = _resolved(found["items"], schemas, depth + 1)
    if isinstance(found.get("properties"), dict) and depth:
        parts = _at(found, "properties")
        found["properties"] = {name: _resolved(one, schemas, depth + 1) for name, one in parts.items()}
    return found
