"""Errors as Anthropic writes them: `{"type": "error", "error": {"type": ..., "message": ...}, "request_id": ...}`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import msgspec

from provider_servers.runtime.vendors.refusals import Refusal
from provider_servers.runtime.vendors.waits import asked_wait, says_retry

if TYPE_CHECKING:
    from collections.abc import Mapping

# Which status an error stands for that comes inside a stream.
STATUSES: dict[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_PARAM = re.compile(r"([a-z_]+)(?:\.[\w.]*)?: ")
_REQUEST_ID = "request-id"


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Read an answer that is no success; the edge of the network may send HTML, of which nothing is repeated."""
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = None
    whole = _object(value)
    error = _object(whole.get("error"))
    return Refusal(
        status,
        _words(error),
        _said(error),
        param=_param(_said(error)),
        retry_after=asked_wait(headers),
        may_retry=says_retry(headers),
        request_id=str(whole.get("request_id") or headers.get(_REQUEST_ID, "")),
    )


def read_fault(value: Any, headers: Mapping[str, str]) -> Refusal:
    """Read the value of `error` in a stream that began as a success."""
    error = _object(value)
    words = _words(error)
    status = next((STATUSES[word] for word in words if word in STATUSES), 500)
    return Refusal(status, words, _said(error), param=_param(_said(error)), request_id=headers.get(_REQUEST_ID, ""))


def _object(value: Any) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _words(error: Mapping[str, Any]) -> frozenset[str]:
    given = (error.get("type"), _object(error.get("details")).get("error_code"))
    return frozenset(one for one in given if isinstance(one, str) and one)


def _said(error: Mapping[str, Any]) -> str:
    said = error.get("message")
    return said if isinstance(said, str) else ""


def _param(said: str) -> str:
    """Give the parameter that a sentence begins with: "max_tokens: Field required"."""
    found = _PARAM.match(said)
    return found[1] if found else ""
