"""Errors as Creatify writes them, which is Django REST framework's way, and what jobs fail with.

| status | body | error |
| --- | --- | --- |
| 400 | a list of sentences | InvalidRequestError; CreditExhausted where it speaks of credits |
| 400 | sentences by field | OptionInvalid, InputUnsuitable |
| 401, 403 | detail | ProviderNotConfigured |
| 402 | detail | CreditExhausted |
| 404 | detail | ModelGone, OutputExpired for work that was taken |
| 429 | detail, Retry-After | RateLimited |
| 5xx, HTML | | BackendFailed |
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import msgspec

from automarket.errors import BackendFailed, ContentRefused
from automarket.secrets import scrub
from provider_servers.runtime.vendors.refusals import Refusal
from provider_servers.runtime.vendors.waits import asked_wait

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automarket.errors import AutoMarketError

_CREDITS = re.compile(r"(not|no|enough|insufficient|out of|exceed|remaining)\b.*\bcredits?\b", re.IGNORECASE)
_KEYS = re.compile(r"credentials|api (id|key)", re.IGNORECASE)
_WAIT = re.compile(r"available in ([0-9]+) second")
_REFUSED = re.compile(r"moderat|policy|nsfw|inappropriate|prohibited|sensitive", re.IGNORECASE)
_GENERAL = ("detail", "non_field_errors")
_MAX_SAID = 400


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Read an answer that is no success."""
    said, param = _told(body)
    if status in (400, 403) and _CREDITS.search(said):
        status = 402
    if status == 403 and _KEYS.search(said):
        status = 401
    wait = asked_wait(headers)
    found = _WAIT.search(said)
    if wait is None and found is not None:
        wait = float(found[1])
    return Refusal(status, message=said, param=param, retry_after=wait)


def _told(body: bytes) -> tuple[str, str]:
    """Give what is said, and the first field that it is said of."""
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "", ""
    if isinstance(value, list):
        return "; ".join(map(str, cast("list[Any]", value))), ""
    if not isinstance(value, dict):
        return str(value), ""
    faults = cast("dict[str, Any]", value)
    plain = {name: _sentence(fault) for name, fault in faults.items()}
    said = "; ".join(fault if name in _GENERAL else f"{name}: {fault}" for name, fault in plain.items())
    return said, next((name for name in plain if name not in _GENERAL), "")


def _sentence(fault: Any) -> str:
    return "; ".join(map(str, cast("list[Any]", fault))) if isinstance(fault, list) else str(fault)


def failed(status: str, reason: str, model: str, job: str) -> AutoMarketError:
    """Give the error of a job that came to nothing: "failed" or "rejected"."""
    said = scrub(" ".join(reason.split()))[:_MAX_SAID] or "it does not say why"
    facts = {"provider": "creatify", "model": model, "phase": "running", "vendor_request_id": job}
    if status == "rejected" or _REFUSED.search(said):
        message = f"Creatify does not make this: {said}"
        return ContentRefused(message, hint="say it differently, or take another person or picture", metadata=facts)
    return BackendFailed(f"the job failed at Creatify: {said}", hint="try again", metadata=facts)
