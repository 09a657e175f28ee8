"""Errors as Replicate writes them: problem details, with the faults of an input in sentences and by field; or a page.

| status | what it says | error |
| --- | --- | --- |
| 401 | Unauthenticated | ProviderNotConfigured |
| 402 | Insufficient credit | CreditExhausted |
| 404 | could not be found | ModelGone, OutputExpired for work that was taken |
| 413 | Files must be less than 100MB | InputTooLarge |
| 422 | Input validation failed, by field | OptionInvalid, InputUnsuitable |
| 422 | Invalid version or not permitted | ModelGone |
| 429 | Request was throttled | RateLimited, with the time from the header or the sentence |
| 5xx | anything | BackendFailed, VendorOverloaded |

A run that fails is no refusal: it is answered with 200, and `failed` reads its error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import msgspec

from automarket.errors import AutoMarketError, BackendFailed, ContentRefused
from automarket.secrets import scrub
from provider_servers.runtime.vendors.refusals import Refusal
from provider_servers.runtime.vendors.waits import asked_wait

if TYPE_CHECKING:
    from collections.abc import Mapping

_RESETS = re.compile(r"resets in ~?([0-9.]+) ?s")
_NAMED = re.compile(r"(?:Additional property )?([A-Za-z0-9_]+) is (?:required|not allowed)")
_REFUSED = re.compile(r"nsfw|flagged as sensitive|safety|content policy|moderation|\(E005\)", re.IGNORECASE)
_MAX_SAID = 400


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Read an answer that is no success."""
    problem = _problem(body)
    said = " ".join(str(problem.get("detail") or problem.get("title") or "").split())
    words = {"model_not_found"} if "invalid version" in str(problem.get("title", "")).lower() else set[str]()
    resets = _RESETS.search(said)
    wait = asked_wait(headers)
    if wait is None and resets is not None:
        wait = float(resets[1])
    return Refusal(status, frozenset(words), said, param=_param(problem), retry_after=wait)


def _problem(body: bytes) -> dict[str, Any]:
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {"detail": value}


def _param(problem: Mapping[str, Any]) -> str:
    """Give the input that is at fault: the first one that is named."""
    faults = cast("list[dict[str, Any]]", problem.get("invalid_fields") or [])
    for fault in faults:
        named = str(fault.get("field", "")).removeprefix("input").lstrip(".").partition(".")[0]
        found = _NAMED.match(str(fault.get("description", "")))
        if named or found:
            return named or (found[1] if found else "")
    return ""


def failed(error: object, model: str, prediction: str) -> AutoMarketError:
    """Give the error of a run that failed: a sentence, or an object with one."""
    if isinstance(error, dict):
        told = cast("dict[str, Any]", error)
        said = str(told.get("detail") or told.get("message") or msgspec.json.encode(told).decode())
    else:
        said = str(error or "it does not say why")
    said = scrub(" ".join(said.split()))[:_MAX_SAID]
    facts = {"provider": "replicate", "model": model, "phase": "running", "vendor_request_id": prediction}
    if _REFUSED.search(said):
        message = f"Replicate does not give the result of this: {said}"
        return ContentRefused(message, hint="say it differently, or take another model or seed", metadata=facts)
    hint = f"see what the model wrote: https://replicate.com/p/{prediction}"
    return BackendFailed(f"the run of {model} failed at Replicate: {said}", hint=hint, metadata=facts)
