"""The typed options of language models: their schemas, what those cannot say, and how an author reads the options."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from automarket.chat.options import FormatKind, ResponseFormat, TextToTextOptions, Tool, ToolChoice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from automarket.v1 import text_options_pb2
    from provider_servers.runtime.call import Call

MAX_SCHEMA_CHARACTERS = 256 * 1024
EFFORTS = ("none", "minimal", "low", "medium", "high")
_NAME = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
_SCHEMA = {"type": "string", "maxLength": MAX_SCHEMA_CHARACTERS}
_PENALTY = {"type": "number", "minimum": -2, "maximum": 2}
_JSON_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "schema": {**_SCHEMA, "minLength": 2},
        "name": {"type": "string", "pattern": "^[A-Za-z0-9_-]{0,64}$"},
        "description": {"type": "string", "maxLength": 10_000},
        "strict": {"type": "boolean"},
    },
    "required": ["schema"],
    "additionalProperties": False,
}
_FORMATS: dict[str, Any] = {"text": {"type": "object"}, "json": {"type": "object"}, "json_schema": _JSON_SCHEMA}

_SCHEMAS: dict[str, dict[str, Any]] = {
    "temperature": {"type": "number", "minimum": 0, "maximum": 2, "description": "Randomness; 0 is none."},
    "top_p": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 1,
        "description": "Choose among the likeliest tokens that have this probability together.",
    },
    "top_k": {"type": "integer", "minimum": 1, "maximum": 100_000, "description": "Choose among so many tokens."},
    "max_tokens": {"type": "integer", "minimum": 1, "maximum": 10_000_000, "description": "Write at most so many."},
    "system_prompt": {"type": "string", "maxLength": 1_000_000, "description": "What the model is to be and to do."},
    "stop": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 1000},
        "maxItems": 16,
        "description": "Texts that end the answer; they are not part of it.",
    },
    "seed": {"type": "integer", "description": "Equal seeds give equal texts, as far as the engine can."},
    "presence_penalty": {**_PENALTY, "description": "Makes what was said already less likely."},
    "frequency_penalty": {**_PENALTY, "description": "Makes what was said often less likely."},
    "response_format": {
        "type": "object",
        "properties": _FORMATS,
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
        "description": "What the answer has to look like: text, JSON, or JSON that a schema describes.",
    },
    "tools": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "name": _NAME,
                "description": {"type": "string", "maxLength": 100_000},
                "parameters": _SCHEMA,
                "strict": {"type": "boolean"},
            },
            "required": ["name"],
            "additionalProperties": False,
        },
        "maxItems": 128,
        "description": "Tools that the model may call.",
    },
    "tool_choice": {
        "type": "object",
        "properties": {"mode": {"enum": ["auto", "none", "required"]}, "tool": _NAME},
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
        "description": "Whether the model calls tools.",
    },
    "reasoning_effort": {"type": "string", "enum": list(EFFORTS), "description": "How much to think first."},
}


def text_option_schemas(*names: str, **changes: Mapping[str, Any]) -> dict[str, Any]:
    """Give JSON Schemas of typed options, for `Model.options`.

    Args:
        names: options that the model takes, by their names in the contract; none at all means every one.
        changes: for options that the model takes otherwise, members that replace those of the usual schema:
            `temperature={"maximum": 1}`, `stop={"maxItems": 4}`, `reasoning_effort={"enum": ["low", "high"]}`.

    Raises:
        KeyError: there is no option of that name.
    """
    return {name: {**_SCHEMAS[name], **changes.get(name, {})} for name in names or tuple(_SCHEMAS)}


def response_formats(*kinds: FormatKind) -> dict[str, Any]:
    """Give the change of `response_format` for a model that takes these kinds only: "text", "json", "json_schema"."""
    return {"properties": {kind: _FORMATS[kind] for kind in kinds}}


def text_options(call: Call) -> TextToTextOptions:
    """Give the typed options of a call as values; what the caller left out is None, or empty.

    `system_prompt` is told here, too, though `Call.conversation` puts it first already.
    """
    given = call.options
    plain = {name: given[name] for name in _PLAIN if name in given}
    return TextToTextOptions(
        **plain,
        stop=tuple(given.get("stop", ())),
        response_format=_format(given["response_format"]) if "response_format" in given else None,
        tools=tuple(map(_tool, given.get("tools", ()))),
        tool_choice=_choice(given["tool_choice"]) if "tool_choice" in given else None,
    )


_PLAIN = (
    *("temperature", "top_p", "top_k", "max_tokens", "system_prompt", "seed", "presence_penalty"),
    *("frequency_penalty", "reasoning_effort"),
)


def _format(given: Mapping[str, Any]) -> ResponseFormat:
    [(kind, facts)] = given.items()
    if kind != "json_schema":
        return ResponseFormat(cast("FormatKind", kind))
    return ResponseFormat(
        "json_schema",
        json.loads(facts["schema"]),
        facts.get("name") or "answer",
        facts.get("description", ""),
        facts.get("strict"),
    )


def _tool(given: Mapping[str, Any]) -> Tool:
    parameters = json.loads(given.get("parameters") or "{}")
    return Tool(given["name"], given.get("description", ""), parameters, given.get("strict"))


def _choice(given: Mapping[str, Any]) -> ToolChoice:
    return ToolChoice(given.get("mode", "required"), given.get("tool", ""))


def text_faults(options: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Say what is wrong with typed options whose values fit their schemas: option, path within it, fault."""
    wanted = _object(_object(options.get("response_format")).get("json_schema"))
    if "schema" in wanted and (fault := _schema_fault(wanted["schema"], of_object=False)):
        yield "response_format", ".json_schema.schema", fault
    given = options.get("tools")
    tools = [_object(tool) for tool in cast("list[Any]", given)] if isinstance(given, list) else []
    names = [tool.get("name") for tool in tools]
    for number, tool in enumerate(tools):
        if tool.get("name") in names[:number]:
            yield "tools", f"[{number}].name", f"{tool['name']!r} is given twice"
        if tool.get("parameters") and (fault := _schema_fault(tool["parameters"], of_object=True)):
            yield "tools", f"[{number}].parameters", fault
    choice = _object(options.get("tool_choice"))
    if "tool" in choice and choice["tool"] not in names:
        yield "tool_choice", ".tool", f"there is no tool {choice['tool']!r}"
    elif choice.get("mode") == "required" and not names:
        yield "tool_choice", ".mode", "there are no tools"


def _object(value: Any) -> Mapping[str, Any]:
    """Give a JSON object; an empty one for what is none: a model of its own making may have options of other kinds."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _schema_fault(text: Any, *, of_object: bool) -> str:
    """Say what is wrong with a JSON Schema; empty when nothing is."""
    if not isinstance(text, str):
        return "not JSON"
    key = _key(text, of_object=of_object)
    fault = _faults.get(key)
    if fault is None:
        fault = _faults[key] = _found_fault(text, of_object=of_object)
        while len(_faults) > MOST_REMEMBERED:
            _faults.pop(next(iter(_faults)), None)
    return fault


def _key(text: str, *, of_object: bool) -> bytes:
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=16, key=b"o" if of_object else b"").digest()


async def check_ahead(options: text_options_pb2.TextToTextOptions) -> None:
    """Check the schemas in a call's options that were not seen before, in a thread: that takes tens of milliseconds.

    What is wrong with one is told later, with everything else that is wrong with the options.
    """
    wanted = options.response_format.json_schema.schema
    texts = [(wanted, False)] if wanted else []
    texts += [(tool.parameters, True) for tool in options.tools if tool.parameters]
    new = [(text, kind) for text, kind in texts if _key(text, of_object=kind) not in _faults]
    if new:
        await asyncio.to_thread(lambda: [_schema_fault(text, of_object=kind) for text, kind in new])


def _found_fault(text: str, *, of_object: bool) -> str:
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError):
        return "not JSON"
    if not isinstance(schema, dict):
        return "not a JSON Schema: it has to be an object"
    try:
        Draft202012Validator.check_schema(cast("dict[str, Any]", schema))
    except (SchemaError, RecursionError) as error:
        return f"not a JSON Schema: {getattr(error, 'message', 'it is too deep')}"[:200]
    kind = cast("dict[str, Any]", schema).get("type", "object")
    return 'the type of a tool\'s arguments has to be "object"' if of_object and kind != "object" else ""


MOST_REMEMBERED = 1024
# What was found of each schema: tools recur, and a check takes milliseconds.
_faults: dict[bytes, str] = {}
