"""Errors on the wire: every AutoMarketError as a gRPC status with `google.rpc` details, and back to the same class.

A serialised Status is at most 4 KiB and a message at most 512 bytes: larger trailers lose the real status on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from automarket.errors import (
    BY_REASON,
    AutoMarketError,
    CallCancelled,
    Code,
    DataLossError,
    DeadlineExceeded,
    EndedError,
    ExhaustedError,
    InternalFault,
    InvalidRequestError,
    MethodUnknown,
    NotFoundError,
    StateError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import grpc.aio
    from google.protobuf.message import Message

DOMAIN = "automarket"
DETAILS_KEY = "grpc-status-details-bin"
MAX_STATUS_BYTES = 4096
MAX_MESSAGE_BYTES = 512
MAX_LOG_BYTES = 2048
MAX_INFO_BYTES = 1200
MAX_KEY_BYTES = 128
MAX_VALUE_BYTES = 256

# What protobuf adds to a string or a small message, and to a detail with its type's name; rounded up.
_FRAMING_BYTES = 12
_ENVELOPE_BYTES = 64

BUG_MESSAGE = "the server failed through a fault of its own; its log says more"

_BY_CODE: dict[Code, type[AutoMarketError]] = {
    Code.CANCELLED: CallCancelled,
    Code.INVALID_ARGUMENT: InvalidRequestError,
    Code.OUT_OF_RANGE: InvalidRequestError,
    Code.ALREADY_EXISTS: InvalidRequestError,
    Code.DEADLINE_EXCEEDED: DeadlineExceeded,
    Code.NOT_FOUND: NotFoundError,
    Code.RESOURCE_EXHAUSTED: ExhaustedError,
    Code.FAILED_PRECONDITION: StateError,
    Code.ABORTED: StateError,
    Code.UNIMPLEMENTED: MethodUnknown,
    Code.UNAVAILABLE: UnavailableError,
    Code.DATA_LOSS: DataLossError,
}


@dataclass(frozen=True, slots=True)
class WireStatus:
    """A status as it travels: code, message, and the serialised google.rpc.Status for the trailers."""

    code: Code
    message: str
    details: bytes


def clip(text: str, max_bytes: int) -> str:
    """Cut text to at most so many bytes of UTF-8, never inside a character."""
    data = text.encode()
    return text if len(data) <= max_bytes else data[: max_bytes - 3].decode(errors="ignore") + "..."


def to_status(error: BaseException) -> WireStatus:
    """Give the status of an error. What is not an AutoMarketError is a bug, whose text never leaves the process."""
    if not isinstance(error, AutoMarketError):
        error = InternalFault(BUG_MESSAGE)
    message = clip(error.message, MAX_MESSAGE_BYTES)
    status = status_pb2.Status(code=error.code, message=message)
    for detail in _details(error):
        _add(status, detail)
    room = min(MAX_LOG_BYTES, MAX_STATUS_BYTES - status.ByteSize() - _ENVELOPE_BYTES)
    if lines := clip_tail(error.log_lines, room):
        _add(status, error_details_pb2.DebugInfo(stack_entries=lines))
    return WireStatus(error.code, message, status.SerializeToString())


def _add(status: status_pb2.Status, detail: Message) -> None:
    packed = any_pb2.Any()
    packed.Pack(detail)
    status.details.append(packed)


def _details(error: AutoMarketError) -> Iterable[Message]:
    facts = {"retry": error.metadata.get("retry", error.retry), **error.metadata}
    yield error_details_pb2.ErrorInfo(domain=DOMAIN, reason=error.reason, metadata=dict(_within(MAX_INFO_BYTES, facts)))
    if error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        yield error_details_pb2.RetryInfo(retry_delay=delay)
    if error.hint:
        link = error_details_pb2.Help.Link(description=clip(error.hint, MAX_MESSAGE_BYTES))
        yield error_details_pb2.Help(links=[link])
    if error.fields:
        violation = error_details_pb2.BadRequest.FieldViolation
        fields = _within(MAX_INFO_BYTES, error.fields)
        yield error_details_pb2.BadRequest(field_violations=[violation(field=f, description=d) for f, d in fields])


def _within(max_bytes: int, pairs: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Give the first pairs that fit into so many bytes, each cut where it is too long."""
    for key, value in pairs.items():
        pair = clip(key, MAX_KEY_BYTES), clip(value, MAX_VALUE_BYTES)
        max_bytes -= sum(len(text.encode()) for text in pair) + _FRAMING_BYTES
        if max_bytes < 0:
            return
        yield pair


def clip_tail(lines: Iterable[str], max_bytes: int) -> list[str]:
    """Keep the last lines that fit into so many bytes."""
    kept: list[str] = []
    for line in reversed(list(lines)):
        short = clip(line, MAX_VALUE_BYTES)
        max_bytes -= len(short.encode()) + _FRAMING_BYTES
        if max_bytes < 0:
            break
        kept.insert(0, short)
    return kept


def from_status(code: int, message: str, details: bytes | None) -> AutoMarketError:
    """Give the error that a status stands for: the class that its reason names, else one that fits its code."""
    info, parts = _unpack(details)
    known = Code(code) if code in Code.__members__.values() else Code.UNKNOWN
    cls = BY_REASON.get(info.reason) if info.domain == DOMAIN else None
    if cls is None or cls.code != known:
        cls = _BY_CODE.get(known, EndedError)
    if info.reason and info.reason != cls.reason:
        parts.metadata.setdefault("reason", info.reason)
    return cls(
        message or known.name,
        hint=parts.hint,
        fields=parts.fields,
        retry_after=parts.retry_after,
        metadata={**info.metadata, **parts.metadata},
        log_lines=parts.log_lines,
    )


@dataclass(slots=True)
class _Parts:
    hint: str | None
    fields: dict[str, str]
    retry_after: float | None
    log_lines: tuple[str, ...]
    metadata: dict[str, str]


def _unpack(details: bytes | None) -> tuple[error_details_pb2.ErrorInfo, _Parts]:
    info = error_details_pb2.ErrorInfo()
    parts = _Parts(None, {}, None, (), {})
    for packed in _parse(details).details:
        retry, help_, bad, debug = (
            error_details_pb2.RetryInfo(),
            error_details_pb2.Help(),
            error_details_pb2.BadRequest(),
            error_details_pb2.DebugInfo(),
        )
        if packed.Unpack(retry):
            parts.retry_after = retry.retry_delay.ToNanoseconds() / 1e9
        elif packed.Unpack(help_) and help_.links:
            parts.hint = help_.links[0].description
        elif packed.Unpack(bad):
            parts.fields = {violation.field: violation.description for violation in bad.field_violations}
        elif packed.Unpack(debug):
            parts.log_lines = tuple(debug.stack_entries)
        else:
            packed.Unpack(info)
    return info, parts


def _parse(details: bytes | None) -> status_pb2.Status:
    try:
        return status_pb2.Status.FromString(details or b"")
    except DecodeError:  # somebody else's trailer
        return status_pb2.Status()


def details_of(trailers: Iterable[tuple[str, str | bytes]] | None) -> bytes | None:
    """Find the serialised google.rpc.Status among trailing metadata."""
    for key, value in trailers or ():
        if key == DETAILS_KEY:
            return value if isinstance(value, bytes) else value.encode("latin-1")
    return None


def from_rpc_error(error: grpc.aio.AioRpcError, metadata: Mapping[str, str] | None = None) -> AutoMarketError:
    """Give the AutoMarketError that a failed call stands for; `metadata` is added where it says nothing."""
    found = from_status(error.code().value[0], error.details() or "", details_of(error.trailing_metadata()))
    for key, value in (metadata or {}).items():
        found.metadata.setdefault(key, value)
    return found
