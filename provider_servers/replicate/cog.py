"""What Replicate says of a model: GET /v1/models/{owner}/{name}, with the OpenAPI schema that Cog wrote for it.

Inputs are the properties of `components.schemas.Input`, in the order of `x-order`; an enum is a schema of its own, to
which a property refers by `$ref` or `allOf`; a file is a string of format "uri". `Output` is a string, a list, an
object; a list that says "iterator" grows while it is made, and one that says "concatenate" is text in pieces.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

_DROPPED = ("title", "x-order", "nullable", "allOf", "anyOf", "deprecated", "examples")
_MAX_DEPTH = 8


class Version(msgspec.Struct):
    """One version of a model; `openapi_schema` may be missing while it is built."""

    id: str
    openapi_schema: dict[str, Any] | None = None


class ModelFacts(msgspec.Struct):
    """A model; `is_official` models have no version that a caller names."""

    owner: str
    name: str
    description: str | None = None
    is_official: bool | None = None
    latest_version: Version | None = None
    default_example: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CogInput:
    """One input.

    Attributes:
        name: the vendor's.
        rule: its JSON Schema, without references.
        required: it has to be given.
        files: how many files it takes: 0 is none, 1, or 2 for a list of them.
    """

    name: str
    rule: dict[str, Any]
    required: bool = False
    files: int = 0

    @property
    def description(self) -> str:
        """What the vendor says of it."""
        return str(self.rule.get("description", ""))


@dataclass(frozen=True, slots=True)
class CogModel:
    """A model as its schema describes it.

    Attributes:
        id: owner/name, with ":version" where the user pinned one.
        version: what a prediction names; empty for an official model.
        inputs: in order.
        output: JSON Schema of the output, without references.
        example: the vendor's own example: its input and output.
    """

    id: str
    version: str = ""
    description: str = ""
    inputs: tuple[CogInput, ...] = ()
    output: dict[str, Any] = field(default_factory=dict[str, Any])
    example: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def slug(self) -> str:
        """The model's owner/name."""
        return self.id.partition(":")[0]

    @property
    def usual_seconds(self) -> float | None:
        """How long the vendor's own example ran; None where it does not say."""
        found = cast("dict[str, Any]", self.example.get("metrics") or {}).get("predict_time")
        return float(found) if isinstance(found, int | float) else None

    @property
    def tells(self) -> bool:
        """Whether the output is text that comes in pieces."""
        display = self.output.get("x-cog-array-display") == "concatenate"
        is_iterator = self.output.get("x-cog-array-type") == "iterator"
        return self.output.get("type") == "array" and (display or is_iterator) and not gives_files(self.output)


def read_model(body: bytes, pinned: Version | None = None) -> CogModel:
    """Read what the vendor says of a model.

    Args:
        body: the answer of GET /v1/models/{owner}/{name}.
        pinned: the version that the user wants instead of the latest one.

    Raises:
        msgspec.MsgspecError: it is something else.
    """
    facts = msgspec.json.decode(body, type=ModelFacts)
    version = pinned or facts.latest_version
    schemas = _schemas(version.openapi_schema if version else None)
    given = cast("dict[str, Any]", schemas.get("Input") or {})
    required = cast("list[str]", given.get("required") or [])
    properties = cast("dict[str, dict[str, Any]]", given.get("properties") or {})
    ordered = sorted(properties.items(), key=lambda one: one[1].get("x-order", len(properties)))
    is_official = pinned is None and (facts.is_official or version is None)
    name = f"{facts.owner}/{facts.name}"
    return CogModel(
        id=f"{name}:{pinned.id}" if pinned else name,
        version="" if is_official or version is None else version.id,
        description=facts.description or "",
        inputs=tuple(_input(one, rule, schemas, required=one in required) for one, rule in ordered),
        output=resolved(schemas.get("Output") or {}, schemas),
        example=facts.default_example or {},
    )


def gives_files(output: dict[str, Any]) -> bool:
    """Tell whether an output is a file, a list of files, or an object with files and no text."""
    if "uri" in (output.get("format"), _items(output).get("format")):
        return True
    parts = [one for one in cast("dict[str, dict[str, Any]]", output.get("properties") or {}).values() if one]
    has_text = any(one.get("type") == "string" and one.get("format") != "uri" for one in parts)
    return not has_text and any("uri" in (one.get("format"), _items(one).get("format")) for one in parts)


def urls_of(output: Any) -> list[str]:
    """Give the addresses of the files in an output, in order."""
    if isinstance(output, dict):
        return [url for one in cast("dict[str, Any]", output).values() for url in urls_of(one)]
    if isinstance(output, list):
        return [url for one in cast("list[Any]", output) for url in urls_of(one)]
    return [output] if isinstance(output, str) and output.startswith(("http://", "https://", "data:")) else []


def _items(rule: dict[str, Any]) -> dict[str, Any]:
    return cast("dict[str, Any]", rule.get("items") or {})


def _schemas(schema: dict[str, Any] | None) -> dict[str, Any]:
    components = cast("dict[str, Any]", (schema or {}).get("components") or {})
    return cast("dict[str, Any]", components.get("schemas") or {})


def _input(name: str, rule: dict[str, Any], schemas: dict[str, Any], *, required: bool) -> CogInput:
    plain = resolved(rule, schemas)
    is_list = plain.get("type") == "array" and _items(plain).get("format") == "uri"
    files = 2 if is_list else 1 if plain.get("format") == "uri" else 0
    return CogInput(name, plain, required, files)


def resolved(rule: dict[str, Any], schemas: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """Give a rule without references and what only OpenAPI has; one that is refined wins over what it refers to."""
    if depth > _MAX_DEPTH:
        return {}
    found: dict[str, Any] = {}
    for part in [rule, *rule.get("allOf", ()), *_not_null(rule)]:
        if isinstance(part.get("$ref"), str):
            found |= resolved(schemas.get(part["$ref"].rpartition("/")[2]) or {}, schemas, depth + 1)
        elif part is not rule:
            found |= resolved(part, schemas, depth + 1)
    found |= {name: value for name, value in rule.items() if name not in (*_DROPPED, "$ref")}
    if found.get("default", ...) is None:
        del found["default"]
    if isinstance(found.get("items"), dict):
        found["items"] = resolved(_items(found), schemas, depth + 1)
    if isinstance(found.get("properties"), dict):
        parts = cast("dict[str, dict[str, Any]]", found["properties"])
        found["properties"] = {name: resolved(one, schemas, depth + 1) for name, one in parts.items()}
    return found


def _not_null(rule: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the one way that a nullable value has beside null; several ways are left to the vendor to check."""
    ways = [way for way in rule.get("anyOf", ()) if way.get("type") != "null"]
    return ways if len(ways) == 1 else []
