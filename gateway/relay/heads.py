"""What the header blocks of a call say: requests, answers, trailers. Malformed ones are refused here (RFC 9113)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gateway.relay.headers import Role, block, literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.relay.headers import Field, FieldList

_UNITS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_TIMEOUT_DIGITS: Final = 8
_LENGTH_DIGITS: Final = 18
_TIMEOUT_MOST: Final = 10**_TIMEOUT_DIGITS - 1

GRPC: Final = b"application/grpc"


def is_grpc(content_type: bytes) -> bool:
    """Tell whether a content type is gRPC's own, and not that of one of its relatives."""
    return content_type.startswith(GRPC) and content_type[len(GRPC) :][:1] in (b"", b"+", b";")


class MalformedError(Exception):
    """A block breaks a rule of HTTP/2: its stream is reset with PROTOCOL_ERROR."""


@dataclass(slots=True)
class RequestHead:
    """What a request says before its first byte of data.

    Attributes:
        passed: the fields that go on to the server behind, as they came.
        ours: automarket-* metadata.
        timeout: seconds, or None.
        refusal: what gRPC would refuse, for a status; empty when all is well.
    """

    method: bytes = b""
    path: str = ""
    passed: bytes = b""
    ours: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    timeout: float | None = None
    trace: bytes = b""
    encoding: bytes = b"identity"
    content_type: bytes = b""
    content_length: int | None = None
    refusal: str = ""


def read_request(fields: FieldList, *, end: bool) -> RequestHead:
    """Read a request's head; with `end` it has no data.

    Raises:
        MalformedError: it breaks HTTP/2's rules.
    """
    head = RequestHead()
    passed: list[bytes] = []
    is_regular = False
    pseudo: dict[bytes, bytes] = {}
    for one in fields:
        role = one.role
        if role == Role.PSEUDO:
            if one.name in pseudo or is_regular:
                raise MalformedError("pseudo-header fields come once, and first")
            pseudo[one.name] = one.value
            passed.append(one.wire)
            continue
        is_regular = True
        if role == Role.PASSED or _note(head, one):
            passed.append(one.wire)
    _check_pseudo(head, pseudo)
    if end and head.content_length:
        raise MalformedError("a content-length without data")
    head.passed = b"".join(passed)
    return head


def _check_pseudo(head: RequestHead, pseudo: dict[bytes, bytes]) -> None:
    if not pseudo.keys() <= {b":method", b":path", b":scheme", b":authority"}:
        raise MalformedError("an unknown pseudo-header field")
    head.method = pseudo.get(b":method", b"")
    path = pseudo.get(b":path", b"")
    if not head.method or not path or not pseudo.get(b":scheme"):
        raise MalformedError(":method, :scheme and :path are required")
    try:
        head.path = path.decode()
    except UnicodeDecodeError:  # one such request would end a whole server process of grpc.aio
        raise MalformedError(":path is not UTF-8") from None


def _note(head: RequestHead, one: Field) -> bool:
    """Take note of a field that means something here; tell whether it goes on."""
    role, value = one.role, one.value
    if role == Role.FLAWED:
        raise MalformedError(f"a field that HTTP/2 forbids: {one.name[:60].decode('ascii', 'replace')}")
    if role == Role.OURS:
        head.ours.append((one.name.decode("ascii"), value.decode("utf-8", "replace")))
    elif role == Role.TIMEOUT:
        head.timeout = parse_timeout(value)
        if head.timeout is None:
            head.refusal = "grpc-timeout is not a number of at most 8 digits and a unit (H, M, S, m, u, n)"
        return False
    elif role == Role.TRACE:
        head.trace = value
        return False
    elif role == Role.DROPPED:
        return False
    elif role == Role.ENCODING:
        head.encoding = value
    elif role == Role.CONTENT_TYPE:
        head.content_type = value
    elif role == Role.CONTENT_LENGTH:
        if not value.isdigit() or len(value) > _LENGTH_DIGITS or head.content_length not in (None, int(value)):
            raise MalformedError("a content-length that is no length")
        head.content_length = int(value)
    return True


def parse_timeout(value: bytes) -> float | None:
    """Give the seconds of a grpc-timeout, None when it is malformed."""
    digits, unit = value[:-1], value[-1:]
    if not digits.isdigit() or len(digits) > _TIMEOUT_DIGITS or unit not in _UNITS:
        return None
    return int(digits) * _UNITS[unit]


def timeout_field(seconds: float) -> bytes:
    """Give the field for a time-out; what does not fit its digits is rounded down, so that it never grows."""
    for unit in (b"u", b"m", b"S"):
        count = int(seconds / _UNITS[unit])
        if count <= _TIMEOUT_MOST:
            return literal(b"grpc-timeout", b"%d%s" % (max(count, 1), unit))
    return literal(b"grpc-timeout", b"%dH" % min(int(seconds / 3600), _TIMEOUT_MOST))


@dataclass(slots=True)
class AnswerHead:
    """What a block from a server behind says: the head of an answer, trailers, or both at once.

    Attributes:
        wire: the block as it goes on.
        trailers: the same without what only the head of an answer has.
        http_status: 0 in trailers.
        code: grpc-status, None when there is none.
        details: grpc-status-details-bin as it came, in base64.
    """

    wire: bytes = b""
    trailers: bytes = b""
    http_status: int = 0
    code: int | None = None
    details: bytes = b""
    encoding: bytes = b"identity"
    is_grpc: bool = False


def read_answer(fields: FieldList) -> AnswerHead:
    """Read a block from a server behind.

    Raises:
        MalformedError: it breaks HTTP/2's rules.
    """
    if isinstance(fields.answer, AnswerHead):
        return fields.answer
    head = fields.answer = _read_answer(fields)
    return head


def _read_answer(fields: FieldList) -> AnswerHead:
    head = AnswerHead()
    wires: list[bytes] = []
    for one in fields:
        role, value = one.role, one.value
        if role == Role.FLAWED:
            raise MalformedError("a field that HTTP/2 forbids")
        if role == Role.PSEUDO:
            if one.name != b":status" or head.http_status or wires or len(value) != 3 or not value.isdigit():
                raise MalformedError("an answer begins with one :status")
            head.http_status = int(value)
        elif role == Role.STATUS:
            head.code = int(value) if value.isdigit() and len(value) <= 3 else 2
        elif role == Role.DETAILS:
            head.details = value
        elif role == Role.ENCODING:
            head.encoding = value
        elif role == Role.CONTENT_TYPE:
            head.is_grpc = is_grpc(value)
        wires.append(one.wire)
    head.wire = b"".join(wires)
    head.trailers = b"".join(wires[1:]) if head.http_status else head.wire
    return head


def answer_block(trailers: Iterable[tuple[bytes, bytes]], *, begun: bool) -> bytes:
    """Give the block that ends a call: trailers after an answer that has begun, else the whole answer in one."""
    head = [] if begun else [(b":status", b"200"), (b"content-type", GRPC)]
    return block([*head, *trailers])
