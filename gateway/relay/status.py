"""Trailers that say how a call ended: an error as a gRPC status with `google.rpc` details, written without protobuf.

The same details in the same order and within the same bounds as `automarket.rpc.status` gives them, so that a client
cannot tell whether a provider answered or the gateway.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from gateway.relay.wire import fields, message, number, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from automarket.errors import AutoMarketError

DOMAIN: Final = "automarket"
MAX_STATUS_BYTES: Final = 4096
MAX_MESSAGE_BYTES: Final = 512
MAX_READ_BYTES: Final = 16 * 1024

_MAX_LOG_BYTES: Final = 2048
_MAX_INFO_BYTES: Final = 1200
_MAX_KEY_BYTES: Final = 128
_MAX_VALUE_BYTES: Final = 256
# What protobuf adds to a string or a small message, and to a detail with its type's name; rounded up.
_FRAMING_BYTES: Final = 12
_ENVELOPE_BYTES: Final = 64

_TYPES: Final = "type.googleapis.com/google.rpc."
_ERROR_INFO: Final = b"/google.rpc.ErrorInfo"
_RETRY_INFO: Final = b"/google.rpc.RetryInfo"
# Printable ASCII stands for itself in grpc-message, but for the sign that begins an escape.
_PLAIN: Final = "".join(chr(code) for code in range(0x20, 0x7F) if code != ord("%"))
_NANOS: Final = 1_000_000_000
_LONGEST_DELAY: Final = 1 << 40


def trailers(error: AutoMarketError) -> list[tuple[bytes, bytes]]:
    """Give the trailing metadata of a call that ends with an error."""
    said = _clip(error.message, MAX_MESSAGE_BYTES)
    details = base64.b64encode(_status(error, said)).rstrip(b"=")
    return [
        (b"grpc-status", b"%d" % error.code),
        (b"grpc-message", _percent_encoded(said)),
        (b"grpc-status-details-bin", details),
    ]


class Advice(NamedTuple):
    """What a status says about trying again.

    Attributes:
        retry: `same`, `other` or `never`; empty where it does not say.
        reason: of the error.
        seconds: to wait; 0 where it does not say.
    """

    retry: str = ""
    reason: str = ""
    seconds: float = 0.0


NO_ADVICE: Final = Advice()


def advice_of(details: bytes) -> Advice:
    """Give the advice on trying again in a grpc-status-details-bin value.

    Args:
        details: base64 as it came, padded or not; what is over 16 KiB is not looked at.
    """
    if len(details) > MAX_READ_BYTES:
        return NO_ADVICE
    retry = reason = ""
    seconds = 0.0
    try:
        bare = details.rstrip(b"=")
        for packed in _messages(base64.b64decode(bare + b"=" * (-len(bare) % 4), validate=True), 3):
            type_url, value = _pair(packed)
            if type_url.endswith(_ERROR_INFO):
                retry, reason = _told_in(value)
            elif type_url.endswith(_RETRY_INFO):
                seconds = _seconds_in(value)
    except ValueError:  # somebody else's trailer
        return NO_ADVICE
    return Advice(retry, reason, seconds)


def _percent_encoded(said: str) -> bytes:
    """Escape a message as gRPC does; spaces at its ends too, which HTTP/2 forbids there."""
    written = quote(said, safe=_PLAIN)
    inner = written.strip(" ")
    before = len(written) - len(written.lstrip(" "))
    after = len(written) - before - len(inner)
    return ("%20" * before + inner + "%20" * after).encode("ascii")


# Writing


def _status(error: AutoMarketError, said: str) -> bytes:
    status = number(1, error.code) + _text(2, said) + b"".join(_details(error))
    room = min(_MAX_LOG_BYTES, MAX_STATUS_BYTES - len(status) - _ENVELOPE_BYTES)
    if lines := _clip_tail(error.log_lines, room):
        status += _packed("DebugInfo", b"".join(text(1, line) for line in lines))
    return status


def _details(error: AutoMarketError) -> Iterator[bytes]:
    facts = {"retry": error.metadata.get("retry", error.retry), **error.metadata}
    pairs = [message(3, text(1, key) + text(2, value)) for key, value in _within(_MAX_INFO_BYTES, facts)]
    yield _packed("ErrorInfo", text(1, error.reason) + text(2, DOMAIN) + b"".join(pairs))
    if error.retry_after is not None:
        yield _packed("RetryInfo", message(1, _duration(error.retry_after)))
    if error.hint:
        yield _packed("Help", message(1, _text(1, _clip(error.hint, MAX_MESSAGE_BYTES))))
    if error.fields:
        violations = [_text(1, path) + _text(2, why) for path, why in _within(_MAX_INFO_BYTES, error.fields)]
        yield _packed("BadRequest", b"".join(message(1, violation) for violation in violations))


def _packed(name: str, detail: bytes) -> bytes:
    """Give a field of `details`: an Any."""
    return message(3, text(1, _TYPES + name) + (message(2, detail) if detail else b""))


def _text(field: int, value: str) -> bytes:
    """Give a string field, nothing when it is empty: that is what an absent one means."""
    return text(field, value) if value else b""


def _duration(seconds: float) -> bytes:
    nanos = int(seconds * 1e9)
    sign = -1 if nanos < 0 else 1
    whole, rest = divmod(abs(nanos), _NANOS)
    return (number(1, sign * whole) if whole else b"") + (number(2, sign * rest) if rest else b"")


def _clip(value: str, max_bytes: int) -> str:
    """Cut text to at most so many bytes of UTF-8, never inside a character."""
    data = value.encode(errors="replace")
    cut = data if len(data) <= max_bytes else data[: max_bytes - 3]
    return cut.decode(errors="ignore") + ("" if cut is data else "...")


def _within(max_bytes: int, pairs: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Give the first pairs that fit into so many bytes, each cut where it is too long."""
    for key, value in pairs.items():
        pair = _clip(key, _MAX_KEY_BYTES), _clip(value, _MAX_VALUE_BYTES)
        max_bytes -= sum(len(part.encode()) for part in pair) + _FRAMING_BYTES
        if max_bytes < 0:
            return
        yield pair


def _clip_tail(lines: Iterable[str], max_bytes: int) -> list[str]:
    """Keep the last lines that fit into so many bytes."""
    kept: list[str] = []
    for line in reversed(list(lines)):
        short = _clip(line, _MAX_VALUE_BYTES)
        max_bytes -= len(short.encode()) + _FRAMING_BYTES
        if max_bytes < 0:
            break
        kept.append(short)
    return kept[::-1]


# Reading


def _told_in(info: bytes) -> tuple[str, str]:
    """Give advice and reason in an ErrorInfo; in another domain than ours the words may mean anything."""
    reason, domain, retry = b"", b"", b""
    for field, _, value in fields(info):
        if not isinstance(value, bytes):
            continue
        if field == 1:
            reason = value
        elif field == 2:
            domain = value
        elif field == 3:
            key, fact = _pair(value)
            retry = fact if key == b"retry" else retry
    return (retry.decode(), reason.decode()) if domain == DOMAIN.encode() else ("", "")


def _seconds_in(info: bytes) -> float:
    """Give the delay in a RetryInfo; 0 for a negative one, whose varint is a large one."""
    whole = nanos = 0
    for delay in _messages(info, 1):
        for field, _, value in fields(delay):
            if isinstance(value, int):
                whole, nanos = (value, nanos) if field == 1 else (whole, value)
    return whole + nanos / _NANOS if whole < _LONGEST_DELAY and nanos < _NANOS else 0.0


def _pair(data: bytes) -> tuple[bytes, bytes]:
    """Give fields 1 and 2, which are all that an Any and an entry of a map have."""
    return b"".join(_messages(data, 1)[-1:]), b"".join(_messages(data, 2)[-1:])


def _messages(data: bytes, wanted: int) -> list[bytes]:
    return [value for field, _, value in fields(data) if field == wanted and isinstance(value, bytes)]
