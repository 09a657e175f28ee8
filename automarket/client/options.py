"""Keyword options as the contract carries them: typed where the capability has them, a Struct for the rest."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from google.protobuf import duration_pb2, struct_pb2
from google.protobuf.descriptor import FieldDescriptor

from automarket.client.text_options import text_fields
from automarket.errors import OptionInvalid, OptionUnknown
from automarket.families import FAMILIES, clashes, nearest
from automarket.media.info import AudioFormat, ImageFormat
from automarket.media.wire import audio_format_to_proto, image_format_to_proto
from automarket.option_words import unfit
from automarket.v1 import media_pb2, transform_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

_EXACT_INTEGER = 2**53
_INTEGERS = (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64)


@dataclasses.dataclass(frozen=True, slots=True)
class Overlay:
    """How to lay one picture or video over the base video. What is not set is the provider's choice.

    Attributes:
        x: left edge in pixels; negative values count from the right.
        y: top edge in pixels; negative values count from the bottom.
        position: a named place instead of x and y: "top-left", "center", "bottom" and so on.
        width: width in pixels; not set keeps the aspect ratio.
        height: height in pixels; not set keeps the aspect ratio.
        start: when it appears, in seconds from the start of the base.
        duration: how long it stays, in seconds.
        opacity: 0 (not to be seen) to 1 (solid).
    """

    x: int | None = None
    y: int | None = None
    position: str | None = None
    width: int | None = None
    height: int | None = None
    start: float | None = None
    duration: float | None = None
    opacity: float | None = None


def check_options(options: Mapping[str, Any], capability: str, schema: Mapping[str, Any] | None) -> None:
    """Refuse options that the model does not take, as far as its schema tells that, before anything is uploaded.

    Raises:
        OptionUnknown: the model does not take one; names the nearest that it takes.
        OptionInvalid: it does not take a value; the field, the range and the value are named.
    """
    if not schema:
        return
    rules = cast("Mapping[str, Any]", schema.get("properties") or {})
    family = FAMILIES.get(capability, "")
    for name, value in options.items():
        if name not in rules and not schema.get("additionalProperties"):
            near = nearest(name, rules)
            hint = f"did you mean {near}?" if near else f"it takes: {', '.join(sorted(rules)) or 'no options'}"
            raise OptionUnknown(f"the model takes no option {name!r}", hint=hint, fields={name: "unknown option"})
        if fault := unfit(value, cast("Mapping[str, Any]", rules.get(name) or {})):
            path = f"{family}.{name}" if family and name in _fields(family) else f"model_options.{name}"
            raise OptionInvalid(f"option {path}: {fault}", fields={f"header.{path}": fault})


def _fields(family: str) -> Mapping[str, Any]:
    message = transform_pb2.TransformHeader.DESCRIPTOR.fields_by_name[family].message_type
    return message.fields_by_name if message is not None else {}


def write_options(header: transform_pb2.TransformHeader, capability: str, options: Mapping[str, Any]) -> None:
    """Write keyword options into a header.

    Raises:
        OptionInvalid: a value cannot be what the option is, or one excludes another; the field is named.
    """
    family = FAMILIES.get(capability, "")
    for name, fault in clashes((family,), options):
        raise _invalid(f"header.{family}.{name}", fault)
    if family == "text_to_text":
        options = text_fields(options)
    typed = cast("Message", getattr(header, family)) if family else None
    for name, value in options.items():
        if typed is not None and name in typed.DESCRIPTOR.fields_by_name:
            _write_field(typed, typed.DESCRIPTOR.fields_by_name[name], value, f"header.{family}")
        else:
            header.model_options.fields[name].CopyFrom(_json_value(value, f"header.model_options.{name}"))


def _write_message(message: Message, value: Any, path: str) -> None:
    if isinstance(message, duration_pb2.Duration):
        return message.FromNanoseconds(_nanoseconds(value, path))
    if isinstance(value, AudioFormat):
        return message.MergeFrom(audio_format_to_proto(value))
    if isinstance(value, ImageFormat):
        return message.MergeFrom(image_format_to_proto(value))
    if isinstance(value, str) and isinstance(message, media_pb2.AudioFormat | media_pb2.ImageFormat):
        message.container = value
        return None
    fields = message.DESCRIPTOR.fields_by_name
    for name, part in _parts(value, path).items():
        if name not in fields:
            raise _invalid(f"{path}.{name}", "there is no such field", f"it has: {', '.join(fields)}")
        if part is not None:
            _write_field(message, fields[name], part, path)
    return None


def _parts(value: Any, path: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value)
    if isinstance(value, Overlay):
        return dataclasses.asdict(value)
    raise _invalid(path, f"{value!r} is not a dictionary of its fields")


def _write_field(message: Message, field: Any, value: Any, path: str) -> None:
    path = f"{path}.{field.name}"
    if field.is_repeated:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            raise _invalid(path, f"{value!r} is not a list")
        for index, part in enumerate(cast("Sequence[Any]", value)):
            _add(getattr(message, field.name), part, f"{path}[{index}]", is_message=field.message_type is not None)
    elif field.message_type is not None:
        part = getattr(message, field.name)
        part.SetInParent()
        _write_message(part, value, path)
    else:
        _write_scalar(message, field, value, path)


def _add(values: Any, part: Any, path: str, *, is_message: bool) -> None:
    """Add a part to a repeated field."""
    if is_message:
        return _write_message(values.add(), part, path)
    try:
        return values.append(part)
    except (TypeError, ValueError) as error:
        raise _invalid(path, f"{part!r} is not what the option takes: {error}") from None


def _write_scalar(message: Message, field: Any, value: Any, path: str) -> None:
    if field.type in _INTEGERS and isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        setattr(message, field.name, value)
    except (TypeError, ValueError) as error:
        raise _invalid(path, f"{value!r} is not what the option takes: {error}") from None


def _nanoseconds(value: Any, path: str) -> int:
    if isinstance(value, dt.timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _invalid(path, f"{value!r} is not a number of seconds")
    return round(value * 1e9)


def _json_value(value: Any, path: str) -> struct_pb2.Value:
    result = struct_pb2.Value()
    match value:
        case None:
            result.null_value = struct_pb2.NULL_VALUE
        case bool():
            result.bool_value = value
        case enum.Enum():
            result.CopyFrom(_json_value(value.value, path))
        case dt.timedelta():
            result.number_value = value.total_seconds()
        case int() if abs(value) > _EXACT_INTEGER:
            result.string_value = str(value)
        case int() | float():
            result.number_value = value
        case str():
            result.string_value = value
        case _:
            _write_container(result, value, path)
    return result


def _write_container(result: struct_pb2.Value, value: Any, path: str) -> None:
    if isinstance(value, Mapping):
        result.struct_value.SetInParent()
        for key, part in cast("Mapping[Any, Any]", value).items():
            result.struct_value.fields[str(key)].CopyFrom(_json_value(part, f"{path}.{key}"))
    elif isinstance(value, list | tuple):
        parts = enumerate(cast("Sequence[Any]", value))
        result.list_value.values.extend(_json_value(part, f"{path}[{index}]") for index, part in parts)
        result.list_value.SetInParent()
    else:
        raise _invalid(path, f"{type(value).__name__} is not a number, text, list or dictionary")


def _invalid(path: str, what: str, hint: str | None = None) -> OptionInvalid:
    name = path.rpartition(".")[2]
    return OptionInvalid(f"option {name}: {what}", hint=hint, fields={path: what})
