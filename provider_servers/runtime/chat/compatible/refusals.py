"""Errors as servers of this API write them: `{"error": {...}}`, a plain sentence, another shape, or somebody's HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from provider_servers.runtime.vendors.refusals import Refusal
from provider_servers.runtime.vendors.waits import asked_wait, says_retry

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_RAW = 300
_REQUEST_IDS = ("x-request-id", "x-generation-id", "cf-ray")
# Which status an error stands for that comes inside a stream, by the words that servers use.
_STATUSES: dict[str, int] = {
    **dict.fromkeys(("invalid_request_error", "invalid_request", "context_length_exceeded", "string_too_long"), 400),
    **dict.fromkeys(("max_tokens_exceeded", "token_limit_exceeded", "refusal"), 400),
    **dict.fromkeys(("authentication_error", "authentication", "invalid_api_key"), 401),
    **dict.fromkeys(("payment_required", "insufficient_quota", "credit_limit"), 402),
    **dict.fromkeys(("permission_denied", "content_policy_violation"), 403),
    **dict.fromkeys(("not_found", "model_not_found", "model_not_available"), 404),
    **dict.fromkeys(("timeout",), 408),
    **dict.fromkeys(("payload_too_large",), 413),
    **dict.fromkeys(("rate_limit_exceeded", "rate_limit_error", "requests", "tokens"), 429),
    **dict.fromkeys(("provider_unavailable",), 502),
    **dict.fromkeys(("provider_overloaded", "server_is_overloaded", "overloaded_error"), 503),
}


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Read an answer that is no success."""
    error, said = _parts(body)
    return _refusal(status, error, said, headers)


def read_fault(value: Any, headers: Mapping[str, str]) -> Refusal:
    """Read the value of `error` in an answer that began as a success."""
    error, said = _told({"error": value})
    words = _words(error)
    status = _number(error.get("code")) or next((_STATUSES[word] for word in words if word in _STATUSES), 500)
    # What the headers say of waiting was said before anything went wrong.
    return _refusal(status, error, said, {name: headers[name] for name in _REQUEST_IDS if name in headers})


def _parts(body: bytes) -> tuple[dict[str, Any], str]:
    """Give the error as an object, as far as it is one, and as a sentence."""
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = body.decode(errors="replace").strip()
        return {}, "" if text.startswith("<") else text
    return _told(value)


def _told(value: Any) -> tuple[dict[str, Any], str]:
    if not isinstance(value, dict):
        return {}, value if isinstance(value, str) else ""
    whole = cast("dict[str, Any]", value)
    error = whole.get("error") or whole
    if not isinstance(error, dict):
        return {}, str(error)
    found = cast("dict[str, Any]", error)
    said = found.get("message") or found.get("detail") or ""
    return found, said if isinstance(said, str) else msgspec.json.encode(said).decode()


def _refusal(status: int, error: Mapping[str, Any], said: str, headers: Mapping[str, str]) -> Refusal:
    metadata, availability = _object(error.get("metadata")), _object(error.get("availability"))
    words = _words(error)
    raw = metadata.get("raw")
    if isinstance(raw, str):  # what the vendor behind this one said
        inner, told = _parts(raw.encode())
        words |= _words(inner)
        said = f"{said}: {metadata.get('provider_name', 'it')} says {told[:_MAX_RAW]}" if told else said
    if metadata.get("flagged_input") or metadata.get("reasons"):
        words |= {"content_policy_violation"}
    wait = availability.get("retry_after")
    may_retry = availability.get("retryable")
    return Refusal(
        status,
        words,
        said,
        param=error.get("param") or "" if isinstance(error.get("param"), str | None) else "",
        retry_after=float(wait) if isinstance(wait, int | float) else asked_wait(headers),
        may_retry=may_retry if isinstance(may_retry, bool) else says_retry(headers),
        request_id=next((headers[name] for name in _REQUEST_IDS if name in headers), ""),
    )


def _words(error: Mapping[str, Any]) -> frozenset[str]:
    metadata, availability = _object(error.get("metadata")), _object(error.get("availability"))
    given = (error.get("code"), error.get("type"), metadata.get("error_type"), availability.get("code"))
    return frozenset(one.lower() for one in given if isinstance(one, str) and one and not one.isdecimal())


def _object(value: Any) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _number(code: Any) -> int:
    """Give a code that is an HTTP status, be it a number or text; 0 otherwise."""
    if isinstance(code, str) and code.isdecimal():
        code = int(code[:6])
    return code if isinstance(code, int) and 400 <= code < 600 else 0
