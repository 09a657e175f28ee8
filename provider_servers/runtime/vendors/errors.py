"""Errors of the mesh for what a vendor refuses, and for answers that are none."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from automarket.errors import (
    AutoMarketError,
    BackendFailed,
    ContentRefused,
    ContextTooLong,
    CreditExhausted,
    InputTooLarge,
    InvalidRequestError,
    ModelUnknown,
    OptionInvalid,
    ProviderNotConfigured,
    RateLimited,
    Retry,
    VendorOverloaded,
)
from automarket.secrets import scrub
from provider_servers.runtime.vendors.refusals import Refusal, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provider_servers.runtime.vendors.vendor import Vendor

RATE_SECONDS, OVERLOAD_SECONDS = 1.0, 5.0
MAX_MESSAGE_CHARACTERS, MAX_FACT_CHARACTERS = 400, 200
_PASSING = frozenset((Trouble.RATE, Trouble.OVERLOAD, Trouble.FAILURE))
# How vendors name the limit of a context and what was sent.
_LIMITS = (
    re.compile(r"maximum context length (?:is|of) ([0-9,]+)"),
    re.compile(r"> ([0-9,]+) maximum"),
    re.compile(r"must be <= ([0-9,]+)"),
    re.compile(r"context size \(([0-9,]+)"),
)
_SENT = (
    re.compile(r"(?:resulted in|requested about|requested|contains at least) ([0-9,]+)"),
    re.compile(r"too long: ([0-9,]+) tokens"),
    re.compile(r"Given: ([0-9,]+)"),
    re.compile(r"request \(([0-9,]+) tokens"),
)


def to_error(
    refusal: Refusal,
    vendor: Vendor,
    model: str = "",
    options: Mapping[str, str] | None = None,
    family: str = "text_to_text",
) -> AutoMarketError:
    """Give the error of the mesh that a refusal is.

    A vendor that says that trying again is no use is believed. Of a key that is refused nothing that the vendor says
    is repeated: it may be a part of the key.

    Args:
        refusal: what the vendor says.
        vendor: who it is.
        model: the model that was asked for.
        options: our options by the vendor's names for them.
        family: the field of the header that holds the typed options.
    """
    facts = facts_of(refusal, vendor, model)
    said = said_by(refusal)
    return _MAKERS[refusal.trouble](_Case(refusal, vendor, model, said, facts, dict(options or {}), family))


def said_by(refusal: Refusal) -> str:
    """Give the vendor's sentence, on one line, without secrets, at most 400 characters."""
    return scrub(" ".join(refusal.message.split()))[:MAX_MESSAGE_CHARACTERS]


def facts_of(refusal: Refusal, vendor: Vendor, model: str) -> dict[str, str]:
    """Give what a program may want to know of a refusal, as the metadata of its error."""
    facts = {"provider": vendor.id, "model": model, "upstream_code": str(refusal.status), "phase": "running"}
    facts |= {"upstream_reason": ", ".join(sorted(refusal.words))} if refusal.words else {}
    facts |= {"vendor_request_id": refusal.request_id} if refusal.request_id else {}
    if refusal.may_retry is False and refusal.trouble in _PASSING:
        facts["retry"] = Retry.NEVER
    return {name: scrub(value)[:MAX_FACT_CHARACTERS] for name, value in facts.items()}


def broken(vendor: Vendor, what: str, model: str = "") -> BackendFailed:
    """Give the error for an answer that is none: cut off, garbage, a connection that broke."""
    facts = {"provider": vendor.id, "model": model, "phase": "running"}
    return BackendFailed(f"{vendor.name}: {scrub(what)}", metadata=facts)


@dataclass(frozen=True, slots=True)
class _Case:
    """One refusal: `said` is the vendor's sentence without secrets, `facts` the error's metadata."""

    refusal: Refusal
    vendor: Vendor
    model: str
    said: str
    facts: dict[str, str]
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    family: str = "text_to_text"

    def asked_to_wait(self) -> dict[str, str]:
        """Give the facts, with a mark where the vendor itself names the time: it is not asked again meanwhile."""
        asked = self.refusal.retry_after and self.facts.get("retry") != Retry.NEVER
        return self.facts | ({"wait": "asked"} if asked else {})

    def wait(self, otherwise: float | None) -> float | None:
        """Give the seconds to wait, or None where waiting is no use."""
        if self.facts.get("retry") == Retry.NEVER:
            return None
        return otherwise if self.refusal.retry_after is None else self.refusal.retry_after


def _credit(case: _Case) -> AutoMarketError:
    page = case.vendor.billing_page
    hint = f"top the account up, or raise its limit: {page}" if page else None
    message = f"{case.vendor.name}: {case.said or 'the account has no credit'}"
    return CreditExhausted(message, hint=hint, metadata=case.facts)


def _context(case: _Case) -> AutoMarketError:
    facts = case.facts | token_counts(case.said)
    hint = "leave out earlier messages, ask for fewer tokens, or take a model with a longer context"
    said = case.said or f"the conversation has more tokens than {case.model} takes"
    return ContextTooLong(f"{case.vendor.name}: {said}", hint=hint, metadata=facts)


def token_counts(said: str) -> dict[str, str]:
    """Give the tokens that a context has, and those that were sent, as far as a sentence names them."""
    counts = {"context_tokens": _number(_LIMITS, said), "request_tokens": _number(_SENT, said)}
    return {name: count for name, count in counts.items() if count}


def _number(patterns: tuple[re.Pattern[str], ...], said: str) -> str:
    found = next((match for pattern in patterns if (match := pattern.search(said))), None)
    return found[1].replace(",", "") if found else ""


def _content(case: _Case) -> AutoMarketError:
    message = f"{case.vendor.name} does not answer this: {case.said or 'its content filter refuses it'}"
    return ContentRefused(message, hint="say it differently, or ask another model", metadata=case.facts)


def _model(case: _Case) -> AutoMarketError:
    message = f"{case.vendor.name}: {case.said or f'there is no model {case.model!r}'}"
    hint = f"see what there is: automarket models --provider {case.vendor.id}"
    return ModelUnknown(message, hint=hint, metadata=case.facts)


def _overload(case: _Case) -> AutoMarketError:
    message = f"{case.vendor.name} has too much to do: {case.said or case.refusal.status}"
    hint = "try again later, or name another model as a fallback"
    return VendorOverloaded(message, hint=hint, retry_after=case.wait(OVERLOAD_SECONDS), metadata=case.asked_to_wait())


def _rate(case: _Case) -> AutoMarketError:
    message = f"{case.vendor.name} takes no more for now: {case.said or 'its rate limit is reached'}"
    hint = "wait, or name another model as a fallback"
    return RateLimited(message, hint=hint, retry_after=case.wait(RATE_SECONDS), metadata=case.asked_to_wait())


def _key(case: _Case) -> AutoMarketError:
    vendor = case.vendor
    if not vendor.key_variable:
        message = f"{vendor.name} wants a key, or another one"
        return ProviderNotConfigured(message, hint="set the provider's api_key", metadata=case.facts)
    hint = f"set {vendor.key_variable} to a key that is valid" + (f": {vendor.keys_page}" if vendor.keys_page else "")
    message = f"{vendor.name} refuses the key in {vendor.key_variable}"
    return ProviderNotConfigured(message, hint=hint, metadata=case.facts)


def _forbidden(case: _Case) -> AutoMarketError:
    vendor = case.vendor
    hint = f"see what the key in {vendor.key_variable} may do: {vendor.keys_page}" if vendor.keys_page else None
    message = f"{vendor.name} does not allow this: {case.said or 'no permission'}"
    return ProviderNotConfigured(message, hint=hint, metadata=case.facts)


def _size(case: _Case) -> AutoMarketError:
    message = f"the request is larger than {case.vendor.name} takes" + (f": {case.said}" if case.said else "")
    return InputTooLarge(message, hint="send less, or smaller media", metadata=case.facts)


def _failure(case: _Case) -> AutoMarketError:
    message = f"{case.vendor.name} failed with {case.refusal.status}: {case.said or 'it does not say why'}"
    return BackendFailed(message, retry_after=case.wait(None), metadata=case.facts)


def _odd(case: _Case) -> AutoMarketError:
    message = f"{case.vendor.name} answered {case.refusal.status}, which means nothing here"
    return BackendFailed(message, metadata=case.facts)


def _request(case: _Case) -> AutoMarketError:
    param = case.refusal.param
    said = case.said or f"it refuses the request with {case.refusal.status}"
    message = f"{case.vendor.name}: {said}"
    if param in case.options:
        fields = {f"header.{case.family}.{case.options[param]}": said}
        return OptionInvalid(message, hint="leave it out for this model", fields=fields, metadata=case.facts)
    return InvalidRequestError(
        message, fields={scrub(param)[:MAX_FACT_CHARACTERS]: said} if param else None, metadata=case.facts
    )


_MAKERS: Mapping[Trouble, Callable[[_Case], AutoMarketError]] = {
    Trouble.CREDIT: _credit,
    Trouble.CONTEXT: _context,
    Trouble.CONTENT: _content,
    Trouble.MODEL: _model,
    Trouble.OVERLOAD: _overload,
    Trouble.RATE: _rate,
    Trouble.KEY: _key,
    Trouble.FORBIDDEN: _forbidden,
    Trouble.SIZE: _size,
    Trouble.FAILURE: _failure,
    Trouble.ODD: _odd,
    Trouble.REQUEST: _request,
}
