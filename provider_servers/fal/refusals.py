"""Errors as fal.ai writes them: `{"detail": "text"}`, `{"detail": [{"loc", "msg", "type"}]}`, with `error_type`.

The platform API has `{"error": {"type", "message"}}`; the edge of the network sends pages of HTML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from provider_servers.runtime.vendors.refusals import Refusal
from provider_servers.runtime.vendors.waits import asked_wait

if TYPE_CHECKING:
    from collections.abc import Mapping

CANCELLED = frozenset(("client_cancelled", "client_disconnected"))
IN_PROGRESS = "still in progress"
# What the vendor says in words alone, by the word that the mesh knows it by.
_SAID = {
    "exhausted balance": "payment_required",
    "insufficient balance": "payment_required",
    "content policy": "content_policy_violation",
    "nsfw": "content_policy_violation",
}
_BODY = "body"


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Read an answer that is no success."""
    return read_fault(status, headers, _decoded(body))


def read_fault(status: int, headers: Mapping[str, str], value: Any) -> Refusal:
    """Read an error that is JSON already: of an answer, or in the last state of work that failed."""
    whole = _object(value)
    platform = _object(whole.get("error"))
    faults = (
        [_object(one) for one in cast("list[Any]", whole["detail"])] if isinstance(whole.get("detail"), list) else []
    )
    message = _message(whole, platform, faults)
    given = (
        whole.get("error_type"),
        platform.get("type"),
        headers.get("x-fal-error-type"),
        *(one.get("type") for one in faults),
        *(word for said, word in _SAID.items() if said in message.lower()),
    )
    retryable = {"true": True, "false": False}.get(headers.get("x-fal-retryable", "").lower())
    own_limit = headers.get("x-fal-request-timeout-type") == "user"
    return Refusal(
        status,
        frozenset(str(one) for one in given if one),
        message,
        param=_param(faults),
        retry_after=asked_wait(headers),
        may_retry=False if own_limit else retryable,
        request_id=headers.get("x-fal-request-id", ""),
    )


def is_in_progress(status: int, body: bytes) -> bool:
    """Tell whether a result is refused because the work is not done, whatever the status."""
    detail = _object(_decoded(body)).get("detail")
    return 400 <= status < 500 and isinstance(detail, str) and IN_PROGRESS in detail.lower()


def _message(whole: Mapping[str, Any], platform: Mapping[str, Any], faults: list[Mapping[str, Any]]) -> str:
    if faults:
        return "; ".join(f"{_param([one])}: {one.get('msg', '')}".removeprefix(": ") for one in faults)
    detail = whole.get("detail")
    said = detail if isinstance(detail, str) else whole.get("error")
    return said if isinstance(said, str) else str(platform.get("message", ""))


def _param(faults: list[Mapping[str, Any]]) -> str:
    """Give the field of the vendor's input that a fault names."""
    place = faults[0].get("loc") if faults else None
    parts = [str(one) for one in cast("list[Any]", place)] if isinstance(place, list) else []
    return next((one for one in parts if one != _BODY), "")


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _object(value: Any) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
