"""Options: typed ones and the model's own, merged, checked against the model's schema, defaults filled in."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from jsonschema import Draft202012Validator

from automarket.errors import OptionInvalid, OptionUnknown
from automarket.families import clashes, excluded, families_of, nearest
from automarket.media.wire import to_seconds
from provider_servers.runtime.option_faults import option_fault
from provider_servers.runtime.text_options import text_faults

if TYPE_CHECKING:
    from google.protobuf.struct_pb2 import Struct

    from automarket.errors import SettingInvalid
    from automarket.v1 import transform_pb2
    from provider_servers.runtime.describe import Model

_INTEGER = re.compile(r"-?[0-9]{1,19}")


def object_schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Give the JSON Schema of an object with these properties and no others."""
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def read_options(header: transform_pb2.TransformHeader, model: Model) -> dict[str, Any]:
    """Give all options of a call by name.

    Raises:
        OptionUnknown: the model does not take one; the error names the nearest that it takes.
        OptionInvalid: typed options of another capability, a name given twice, a value that does not fit, or options
            that exclude each other.
    """
    family = header.WhichOneof("options")
    typed: dict[str, Any] = {}
    if family is not None:
        if family not in families_of(model.capabilities):
            message = f"{family} options do not fit model {model.id}, which does {', '.join(model.capabilities)}"
            raise OptionInvalid(message, fields={f"header.{family}": "does not fit the model's capability"})
        typed = _plain(getattr(header, family))
    own = {}
    if header.HasField("model_options"):
        own = read_struct(header.model_options, "header.model_options", OptionInvalid)
    for name in typed.keys() & own.keys():
        raise OptionInvalid(f"option {name} is given twice", fields={f"header.model_options.{name}": "given twice"})
    if not typed and not own:
        return _with_defaults({}, model)
    options: dict[str, Any] = whole(typed | own, object_schema(model.options))
    _check_known(options, model, family, typed)
    _check_values(options, model, family, typed)
    _check_together(options, model, family, typed)
    return _with_defaults(options, model)


def read_struct(struct: Struct, where: str, error: type[OptionInvalid | SettingInvalid]) -> dict[str, Any]:
    """Give a Struct as a dictionary; infinite numbers and the like are an error."""
    try:
        return json_format.MessageToDict(struct)
    except (json_format.Error, ValueError):
        raise error("a number is not finite", fields={where: "finite numbers only"}) from None


def whole(value: Any, rule: Any) -> Any:
    """Make whole numbers of what the schema wants whole: a Struct carries numbers as floats, large ones as text."""
    if not isinstance(rule, Mapping):
        return value
    rules = cast("Mapping[str, Any]", rule)
    if isinstance(value, dict):
        parts: Mapping[str, Any] = rules.get("properties", {})
        return {name: whole(part, parts.get(name)) for name, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [whole(item, rules.get("items")) for item in cast("list[Any]", value)]
    if rules.get("type") == "integer":
        written = isinstance(value, str) and _INTEGER.fullmatch(value) is not None
        if written or (isinstance(value, float) and value.is_integer()):
            return int(value)
    return value


def _plain(message: Message) -> dict[str, Any]:
    """Give the set fields of a message: durations as seconds, nested messages as dictionaries, enum values by name."""
    return {field.name: _value(value, field.enum_type) for field, value in message.ListFields()}


def _value(value: Any, enum: Any) -> Any:
    if enum is not None:
        return _enum_name(enum, value)
    if isinstance(value, Duration):
        return to_seconds(value)
    if isinstance(value, Message):
        return _plain(value)
    if isinstance(value, str | bytes | int | float | bool):
        return value
    return [_value(item, None) for item in value]


def _enum_name(enum: Any, number: int) -> str:
    """Give the name of an enum's value as options write it: TOOL_MODE_AUTO is "auto"."""
    named = enum.values_by_number.get(number)
    prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum.name).upper() + "_"
    return str(number) if named is None else str(named.name).removeprefix(prefix).lower()


def _field(name: str, family: str | None, typed: Mapping[str, Any]) -> str:
    return f"header.{family}.{name}" if name in typed else f"header.model_options.{name}"


def _check_known(options: Mapping[str, Any], model: Model, family: str | None, typed: Mapping[str, Any]) -> None:
    for name in options.keys() - model.options.keys():
        near = nearest(name, model.options)
        takes = ", ".join(sorted(model.options)) or "no options"
        raise OptionUnknown(
            f"model {model.id} has no option {name!r}",
            hint=f"did you mean {near}?" if near else f"it takes {takes}",
            fields={_field(name, family, typed): "unknown option"},
        )


def _check_values(options: Mapping[str, Any], model: Model, family: str | None, typed: Mapping[str, Any]) -> None:
    infinite = (name for name, value in options.items() if isinstance(value, float) and not math.isfinite(value))
    faults = {_field(name, family, typed): "not a finite number" for name in infinite}
    errors: Any = Draft202012Validator(object_schema(model.options)).iter_errors(options)  # pyright: ignore[reportUnknownMemberType] - jsonschema's types are partial
    for error in errors:
        path = [str(part) for part in error.absolute_path]
        faults[".".join([_field(path[0], family, typed), *path[1:]])] = option_fault(error)
    if faults:
        raise _invalid(faults)


def _check_together(options: Mapping[str, Any], model: Model, family: str | None, typed: Mapping[str, Any]) -> None:
    """Check what a JSON Schema of options cannot say of them."""
    faults = {_field(name, family, typed): fault for name, fault in clashes(families_of(model.capabilities), options)}
    if "text-to-text" in model.capabilities:
        faults |= {f"{_field(name, family, typed)}{rest}": fault for name, rest, fault in text_faults(options)}
    if faults:
        raise _invalid(faults)


def _invalid(faults: dict[str, str]) -> OptionInvalid:
    field, fault = next(iter(faults.items()))
    return OptionInvalid(f"option {field.rpartition('header.')[2]}: {fault}", fields=faults)


def _with_defaults(options: dict[str, Any], model: Model) -> dict[str, Any]:
    defaults = {name: rule["default"] for name, rule in model.options.items() if "default" in rule}
    idle = excluded(families_of(model.capabilities), options)
    return {name: value for name, value in defaults.items() if name not in idle} | options
