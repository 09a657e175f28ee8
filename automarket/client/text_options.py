"""Options of language models in the forms that people write them, as the contract's fields."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from automarket.chat.options import ResponseFormat, TextToTextOptions, Tool, ToolChoice
from automarket.errors import OptionInvalid
from automarket.v1 import text_options_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

OptionsValue: TypeAlias = TextToTextOptions | Mapping[str, Any] | None
"""Options of a language model: as a value, or by name."""

_MODES = {
    "auto": text_options_pb2.TOOL_MODE_AUTO,
    "none": text_options_pb2.TOOL_MODE_NONE,
    "required": text_options_pb2.TOOL_MODE_REQUIRED,
}
_WHERE = "header.text_to_text"


def merged(options: OptionsValue, more: Mapping[str, Any]) -> dict[str, Any]:
    """Give options of both kinds by name, without those that are not set.

    Raises:
        OptionInvalid: one is given twice.
    """
    given = _by_name(options)
    for name in given.keys() & more.keys():
        raise OptionInvalid(f"option {name} is given twice", fields={name: "given twice"})
    return {**given, **more}


def _by_name(options: OptionsValue) -> dict[str, Any]:
    if options is None:
        return {}
    if isinstance(options, TextToTextOptions):
        named = ((name, getattr(options, name)) for name in TextToTextOptions.__dataclass_fields__)
        return {name: value for name, value in named if value is not None and value != ()}
    return dict(options)


def text_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """Give options of a language model as fields of the contract's TextToTextOptions; others stay as they are.

    `stop` may be one text; `response_format` "text", "json", a ResponseFormat or a JSON Schema; `tool_choice` "auto",
    "none", "required", the name of a tool or a ToolChoice; a tool a Tool or a dictionary of its fields.

    Raises:
        OptionInvalid: a value cannot be what the option is; the field is named.
    """
    return {name: _FORMS[name](value) if name in _FORMS else value for name, value in options.items()}


def _stop(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _response_format(value: Any) -> Any:
    if isinstance(value, ResponseFormat):
        value = _schema_format(value) if value.kind == "json_schema" else value.kind
    if value in ("text", "json"):
        return {value: {}}
    if not isinstance(value, Mapping):
        hint = 'it is "text", "json", a JSON Schema or a ResponseFormat'
        raise _invalid("response_format", f"{value!r} is no format of an answer", hint)
    facts = cast("Mapping[str, Any]", value)
    kind, of_kind = next(iter(facts.items()), ("", None))
    if len(facts) == 1 and kind in ("text", "json", "json_schema") and isinstance(of_kind, Mapping):
        of_schema = dict(cast("Mapping[str, Any]", of_kind))
        if isinstance(of_schema.get("schema"), Mapping):
            of_schema["schema"] = _json(of_schema["schema"], "response_format.json_schema.schema")
        return {kind: of_schema}
    return {"json_schema": {"schema": _json(facts, "response_format.json_schema.schema"), "name": "answer"}}


def _schema_format(value: ResponseFormat) -> dict[str, Any]:
    schema = _json(value.schema, "response_format.json_schema.schema")
    facts = {"schema": schema, "name": value.name, "description": value.description, "strict": value.strict}
    return {"json_schema": facts}


def _tools(value: Any) -> Any:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise _invalid("tools", f"{value!r} is no list of tools")
    return [_tool(tool, f"tools[{number}]") for number, tool in enumerate(cast("Sequence[Any]", value))]


def _tool(value: Any, path: str) -> dict[str, Any]:
    if isinstance(value, Tool):
        value = {name: getattr(value, name) for name in ("name", "description", "parameters", "strict")}
    if not isinstance(value, Mapping):
        raise _invalid(path, f"a {type(value).__name__} is no tool", "it is a Tool or a dictionary of its fields")
    facts = dict(cast("Mapping[str, Any]", value))
    if isinstance(facts.get("parameters"), Mapping):
        parameters = facts["parameters"]
        facts["parameters"] = _json(parameters, f"{path}.parameters") if parameters else ""
    return facts


def _tool_choice(value: Any) -> Any:
    if isinstance(value, ToolChoice):
        value = value.tool or value.mode if value.mode in _MODES else value
    if isinstance(value, str):
        return {"mode": _MODES[value]} if value in _MODES else {"tool": value}
    if isinstance(value, Mapping) and value.get("mode") in _MODES:  # pyright: ignore[reportUnknownMemberType] - any mapping
        return {"mode": _MODES[cast("Mapping[str, Any]", value)["mode"]]}
    return cast("Any", value)


_FORMS: dict[str, Callable[[Any], Any]] = {
    "stop": _stop,
    "response_format": _response_format,
    "tools": _tools,
    "tool_choice": _tool_choice,
}


def _json(value: Any, path: str) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise _invalid(path, f"it is not what JSON has: {error}"[:200]) from None


def _invalid(path: str, what: str, hint: str | None = None) -> OptionInvalid:
    return OptionInvalid(f"option {path}: {what}", hint=hint, fields={f"{_WHERE}.{path}": what})
