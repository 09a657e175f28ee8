"""Header blocks (HPACK, RFC 7541), taken apart and spliced together without being encoded anew.

Every hop announces a dynamic table of no bytes. Once the peer has acknowledged that, each field of a block says all
that it means by itself: a block is walked, fields are dropped and appended, and the rest goes on as the bytes it came
in. Until then blocks are decoded by `hpack` and written anew as literals.

The cache is by the bytes of a field: methods, user agents and content types repeat for ever, while time-outs, trace
ids and tokens make every whole block unique.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hpack import Decoder, HPACKError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

if TYPE_CHECKING:
    from collections.abc import Iterable

STATIC: Final = tuple((bytes(name), bytes(value)) for name, value in HeaderTable.STATIC_TABLE)
# Sent before the first field on every connection: whoever decodes may forget its dynamic table.
NO_TABLE: Final = b"\x20"
FIELD_OVERHEAD: Final = 32
# Literals with a name of their own: not kept, never kept, kept.
_NEW_NAMES: Final = (0x00, 0x10, 0x40)

_CACHE_BYTES: Final = 1024 * 1024
_CACHE_OVERHEAD: Final = 400  # what an entry costs beside its bytes
_MAX_CACHED_FIELD: Final = 512
_MAX_CACHED_BLOCK: Final = 512
_CACHED_BLOCKS: Final = 512


class CompressionError(Exception):
    """A block cannot be read: the connection's state is lost with it (COMPRESSION_ERROR)."""


class HeaderListTooLarge(Exception):
    """A block holds more than was announced as the most."""


class Role:
    """What a field means to the relay."""

    PASSED = 0
    PSEUDO = 1
    DROPPED = 2  # belongs to one hop, or says what only the gateway may say
    OURS = 3  # automarket-*
    TIMEOUT = 4
    TRACE = 5
    ENCODING = 6
    CONTENT_TYPE = 7
    CONTENT_LENGTH = 8
    STATUS = 9
    MESSAGE = 10
    DETAILS = 11
    FLAWED = 12


# Each call has its own.
_NEVER_AGAIN: Final = (Role.TRACE, Role.DETAILS)


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    Attributes:
        wire: its bytes as they may be sent on.
        role: what it means to the relay.
        size: what it counts in a header list.
    """

    name: bytes
    value: bytes
    wire: bytes
    role: int
    size: int


_ROLES: Final = {
    b"grpc-timeout": Role.TIMEOUT,
    b"traceparent": Role.TRACE,
    b"grpc-encoding": Role.ENCODING,
    b"content-type": Role.CONTENT_TYPE,
    b"content-length": Role.CONTENT_LENGTH,
    b"grpc-status": Role.STATUS,
    b"grpc-message": Role.MESSAGE,
    b"grpc-status-details-bin": Role.DETAILS,
    b"authorization": Role.DROPPED,
    b"proxy-authorization": Role.DROPPED,
    # HTTP/2 forbids these: a message that has them is malformed (RFC 9113, section 8.2.2).
    b"connection": Role.FLAWED,
    b"keep-alive": Role.FLAWED,
    b"proxy-connection": Role.FLAWED,
    b"transfer-encoding": Role.FLAWED,
    b"upgrade": Role.FLAWED,
}
_SECRET: Final = re.compile(rb"authorization|cookie|token|secret|key|password")
_NAME: Final = re.compile(rb":?[!-9;-@\[-~]+")
_NOT_IN_VALUES: Final = re.compile(rb"[\0\r\n]")


def _role(name: bytes, value: bytes) -> int:
    if _NOT_IN_VALUES.search(value) or (name == b"te" and value != b"trailers"):
        return Role.FLAWED
    return _role_of_name(name)


@lru_cache(maxsize=1024)
def _role_of_name(name: bytes) -> int:
    if not _NAME.fullmatch(name):
        return Role.FLAWED
    if name[:1] == b":":
        return Role.PSEUDO
    if name.startswith((b"automarket-identity", b"automarket-resolved-")):
        return Role.DROPPED
    return Role.OURS if name.startswith(b"automarket-") else _ROLES.get(name, Role.PASSED)


def literal(name: bytes, value: bytes) -> bytes:
    """Give a field as a literal that nobody keeps."""
    return b"\x00" + _string(name) + _string(value)


def _string(text: bytes) -> bytes:
    return (bytes((len(text),)) if len(text) < 127 else _long_length(len(text))) + text


def _long_length(length: int) -> bytes:
    made = bytearray((127,))
    length -= 127
    while length >= 128:
        made.append(length & 127 | 128)
        length >>= 7
    made.append(length)
    return bytes(made)


def block(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Give a block of literals."""
    return b"".join(literal(name, value) for name, value in fields)


class FieldList(list["Field"]):
    """The fields of a block.

    Attributes:
        answer: what was made of it, kept where servers say the same again and again.
    """

    __slots__ = ("answer",)

    def __init__(self) -> None:
        super().__init__()
        self.answer: object = None


class FieldCache:
    """The fields seen last, by their bytes; never one that may be a secret.

    Attributes:
        fields: the fields.
        blocks: whole blocks of servers, which repeat themselves; those of clients are each unique.
    """

    def __init__(self, most_bytes: int = _CACHE_BYTES) -> None:
        self.fields: OrderedDict[bytes, Field] = OrderedDict()
        self.blocks: dict[bytes, FieldList] = {}
        self._room = most_bytes

    def put_block(self, data: bytes, fields: FieldList) -> None:
        """Keep a whole block that holds no secret."""
        if len(data) <= _MAX_CACHED_BLOCK and all(field.wire in self.fields for field in fields):
            if len(self.blocks) >= _CACHED_BLOCKS:
                self.blocks.clear()
            self.blocks[data] = fields

    def put(self, field: Field) -> None:
        """Keep a field."""
        if len(field.wire) > _MAX_CACHED_FIELD or field.role in _NEVER_AGAIN or _SECRET.search(field.name):
            return
        self.fields[field.wire] = field
        self._room -= len(field.wire) * 3 + _CACHE_OVERHEAD
        while self._room < 0:
            _, old = self.fields.popitem(last=False)
            self._room += len(old.wire) * 3 + _CACHE_OVERHEAD


class HeaderReader:
    """Reads the header blocks of one connection.

    Args:
        cache: shared by all connections of a worker.
        max_list_bytes: names and values of a block, and 32 bytes a field, at most.
        repeats: whole blocks are worth keeping.
    """

    __slots__ = ("_cache", "_decoder", "_most", "_repeats")

    def __init__(self, cache: FieldCache, max_list_bytes: int, *, repeats: bool = False) -> None:
        self._repeats = repeats
        self._cache = cache
        self._most = max_list_bytes
        self._decoder: Decoder | None = Decoder(max_header_list_size=max_list_bytes)

    def table_is_gone(self) -> None:
        """Note that the peer has acknowledged a dynamic table of no bytes."""
        self._decoder = None

    @property
    def has_table(self) -> bool:
        """Tell whether blocks still depend on those before them."""
        return self._decoder is not None

    def read(self, data: bytes) -> FieldList:
        """Give the fields of a block.

        Raises:
            CompressionError: it cannot be read.
            HeaderListTooLarge: it holds too much.
        """
        if self._decoder is not None:
            return self._decode(self._decoder, data)
        known = self._cache.blocks.get(data) if self._repeats else None
        return self._walk(data) if known is None else known

    def _walk(self, data: bytes) -> FieldList:
        fields = FieldList()
        at, total, get = 0, 0, self._cache.fields.get
        while at < len(data) and data[at] & 0xE0 == 0x20:
            if data[at] != 0x20:
                raise CompressionError("a table size above the announced one")
            at += 1
        try:
            while at < len(data):
                first = data[at]
                if first & 0x80:
                    end = at + 1
                elif first in _NEW_NAMES and data[at + 1] & 0x7F < 0x7F:
                    end = at + 2 + (data[at + 1] & 0x7F)
                    length = data[end] & 0x7F
                    end = end + 1 + length if length < 0x7F else _end_of_field(data, at)
                else:
                    end = _end_of_field(data, at)
                wire = data[at:end]
                field = get(wire)
                if field is None:
                    if _end_of_field(data, at) != end:
                        raise CompressionError("a field that is not what it seemed")
                    field = _parse(wire)
                    self._cache.put(field)
                total += field.size
                fields.append(field)
                at = end
            if total > self._most:
                raise HeaderListTooLarge
            if self._repeats:
                self._cache.put_block(data, fields)
        except IndexError:
            raise CompressionError("a block that ends inside a field") from None
        return fields

    def _decode(self, decoder: Decoder, data: bytes) -> FieldList:
        try:
            pairs = decoder.decode(data, raw=True)
        except HPACKError as error:
            if type(error).__name__ == "OversizedHeaderListError":
                raise HeaderListTooLarge from None
            raise CompressionError(type(error).__name__) from None
        except (IndexError, ValueError, UnicodeError):  # what hpack lets through of some malformed blocks
            raise CompressionError("a block that cannot be decoded") from None
        fields = FieldList()
        fields += [_field(name, value, literal(name, value)) for name, value in pairs]
        return fields


def _field(name: bytes, value: bytes, wire: bytes) -> Field:
    return Field(name, value, wire, _role(name, value), len(name) + len(value) + FIELD_OVERHEAD)


def _end_of_field(data: bytes, at: int) -> int:
    """Give where the field that begins at `at` ends.

    Raises:
        CompressionError: it refers to a table that there is not.
        IndexError: the block ends inside it.
    """
    first = data[at]
    if first & 0x80:
        if not 0x81 <= first <= 0xBD:
            raise CompressionError("an index beyond the static table")
        return at + 1
    index = first & (0x3F if first & 0x40 else 0x0F)
    if first & 0x40:
        if index > 61:
            raise CompressionError("an index beyond the static table")
        at += 1
    elif first & 0xE0 == 0x20:
        raise CompressionError("a table size update inside a block")
    elif index == 0x0F:
        index += data[at + 1]
        if index > 61:
            raise CompressionError("an index beyond the static table")
        at += 2
    else:
        at += 1
    if not index:
        at = _end_of_string(data, at)
    return _end_of_string(data, at)


def _end_of_string(data: bytes, at: int) -> int:
    length = data[at] & 0x7F
    at += 1
    if length == 0x7F:
        length, at = _long_integer(data, at, length)
    at += length
    if at > len(data):
        raise IndexError
    return at


def _long_integer(data: bytes, at: int, value: int) -> tuple[int, int]:
    for shift in (0, 7, 14):
        byte = data[at]
        at += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise CompressionError("an integer that no block can hold")


def _parse(wire: bytes) -> Field:
    """Give the field that these bytes are.

    Raises:
        CompressionError: a text is not as RFC 7541 wants it.
    """
    first = wire[0]
    if first & 0x80:
        name, value = STATIC[(first & 0x7F) - 1]
        return _field(name, value, wire)
    index = first & (0x3F if first & 0x40 else 0x0F)
    at = 1
    if index == 0x0F and not first & 0x40:
        index += wire[1]
        at = 2
    if index:
        name = STATIC[index - 1][0]
    else:
        name, at = _text(wire, at)
    value, _ = _text(wire, at)
    return _field(name, value, wire)


def _text(wire: bytes, at: int) -> tuple[bytes, int]:
    is_huffman = wire[at] & 0x80
    length = wire[at] & 0x7F
    at += 1
    if length == 0x7F:
        length, at = _long_integer(wire, at, length)
    text = wire[at : at + length]
    if is_huffman:
        try:
            text = bytes(decode_huffman(text))
        except HPACKError:
            raise CompressionError("a text that is no Huffman code") from None
    return text, at + length
