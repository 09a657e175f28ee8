"""The protobuf wire format: fields written and read one by one, without the messages' classes.

A data plane reads one small message of a call and writes a few of its own. The classes would bring their whole runtime
into its process for that.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_TAG: Final = (1 << 32) - 1
_MASK: Final = (1 << 64) - 1
_MOST_VARINT_BYTES: Final = 10


class WireType(IntEnum):
    """How a field's value is laid out. Groups (3 and 4), which proto3 does not have, are malformed here."""

    VARINT = 0
    FIXED64 = 1
    BYTES = 2
    FIXED32 = 5


_FIXED: Final = {WireType.FIXED64: 8, WireType.FIXED32: 4}


def fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Give number, wire type and value of every field: an int for a varint (unsigned, 64 bits), else its bytes.

    Raises:
        ValueError: the data are no message.
    """
    offset = 0
    while offset < len(data):
        tag, offset = _whole_varint(data, offset)
        number, wire_type = split_tag(tag)
        if wire_type == WireType.VARINT:
            value, offset = _whole_varint(data, offset)
            yield number, wire_type, value
            continue
        if wire_type == WireType.BYTES:
            size, offset = _whole_varint(data, offset)
        elif wire_type in _FIXED:
            size = _FIXED[WireType(wire_type)]
        else:
            raise ValueError(f"no field has wire type {wire_type}")
        if size > len(data) - offset:
            raise ValueError("a field is cut off")
        yield number, wire_type, data[offset : offset + size]
        offset += size


def varint_at(data: bytes | bytearray, offset: int) -> tuple[int, int] | None:
    """Give the varint that begins there and where it ends, or None while it is not all there.

    Raises:
        ValueError: it is longer than 64 bits.
    """
    value = 0
    for index, byte in enumerate(data[offset : offset + _MOST_VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * index)
        if value > _MASK:
            break
        if byte < 0x80:
            return value, offset + index + 1
    if len(data) - offset < _MOST_VARINT_BYTES:
        return None
    raise ValueError("a varint is longer than 64 bits")


def split_tag(tag: int) -> tuple[int, int]:
    """Give the field number and the wire type of a tag.

    Raises:
        ValueError: no field has that number.
    """
    if tag > _MAX_TAG or tag < 8:
        raise ValueError("no field has that number")
    return tag >> 3, tag & 7


def _whole_varint(data: bytes, offset: int) -> tuple[int, int]:
    found = varint_at(data, offset)
    if found is None:
        raise ValueError("a varint is cut off")
    return found


def text(number: int, value: str) -> bytes:
    """Give a string field, written even when it is empty. What UTF-8 cannot say becomes a question mark."""
    return message(number, value.encode(errors="replace"))


def message(number: int, data: bytes) -> bytes:
    """Give a field that holds a message or bytes, written even when it is empty."""
    return _varint(number << 3 | WireType.BYTES) + _varint(len(data)) + data


def number(number: int, value: int) -> bytes:
    """Give an integer, bool or enum field, written even when it is zero; a negative one takes ten bytes."""
    return _varint(number << 3 | WireType.VARINT) + _varint(value & _MASK)


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
