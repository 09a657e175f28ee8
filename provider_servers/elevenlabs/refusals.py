"""Errors as ElevenLabs writes them: three shapes, all under `detail`; the code goes before the status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from automarket.errors import (
    AutoMarketError,
    CreditExhausted,
    InputTooLarge,
    InputUnsuitable,
    OptionInvalid,
    ProviderNotConfigured,
)
from provider_servers.runtime.vendors.errors import facts_of, said_by
from provider_servers.runtime.vendors.refusals import Refusal
from provider_servers.runtime.vendors.waits import asked_wait, says_retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provider_servers.runtime.vendors.vendor import Vendor


RIGHT_MISSING = "missing_permissions"
"""The vendor's word for a key that is right, and may not do this."""
_KEY_WORDS = frozenset(("invalid_api_key", "needs_authorization", "quota_exceeded", "payment_required"))
_VOICE_WORDS = frozenset(("voice_not_found", "invalid_uid", "voice_does_not_exist"))
_ROOM_WORDS = frozenset(("voice_limit_reached", "voice_add_edit_limit_reached"))
_PLAN_WORDS = frozenset(("paid_plan_required", "only_for_creator+", "only_for_creator", "output_format_not_allowed"))
_LENGTH_WORDS = frozenset(("max_character_limit_exceeded", "text_too_long"))
_SOUND_WORDS = frozenset(("invalid_audio", "audio_too_short", "audio_too_long", "invalid_file_type"))


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Read an answer that is no success."""
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = body.decode(errors="replace").strip()
        value = {"detail": "" if text.startswith("<") else text}
    detail: Any = cast("dict[str, Any]", value).get("detail", value) if isinstance(value, dict) else value
    if isinstance(detail, list):
        detail = _validation(cast("list[Any]", detail))
    found = cast("dict[str, Any]", detail) if isinstance(detail, dict) else {"message": detail}
    words = (found.get("code"), found.get("status"), found.get("type"))
    said = found.get("message")
    return Refusal(
        status,
        frozenset(one.lower() for one in words if isinstance(one, str) and one),
        said if isinstance(said, str) else msgspec.json.encode(said).decode() if said else "",
        param=found["param"] if isinstance(found.get("param"), str) else "",
        retry_after=asked_wait(headers),
        may_retry=says_retry(headers),
        request_id=headers.get("request-id", "") or str(found.get("request_id") or ""),
    )


def _validation(faults: list[Any]) -> dict[str, Any]:
    """Give what a list of faults says: the first one's field, and all their sentences."""
    listed = [cast("dict[str, Any]", one) for one in faults if isinstance(one, dict)]
    where = [".".join(str(part) for part in one.get("loc") or () if part != "body") for one in listed]
    said = "; ".join(f"{at}: {one.get('msg', 'not valid')}" for at, one in zip(where, listed, strict=True))
    return {"message": said or "the request is not valid", "param": where[0] if where else ""}


def special_error(refusal: Refusal, vendor: Vendor, model: str) -> AutoMarketError | None:
    """Give the error for what only this vendor refuses; None for what vendors have in common."""
    make = next((make for fits, make in _SPECIAL if fits(refusal)), None)
    return None if make is None else make(said_by(refusal), vendor, facts_of(refusal, vendor, model))


def _no_voice(said: str, vendor: Vendor, facts: dict[str, str]) -> AutoMarketError:
    message, fields = said or "there is no such voice", {"header.text_to_speech.voice": "there is no such voice"}
    hint = f"see what there is: automarket voices ls {vendor.id}"
    return OptionInvalid(f"{vendor.name}: {message}", hint=hint, fields=fields, metadata=facts)


def _no_room(said: str, vendor: Vendor, facts: dict[str, str]) -> AutoMarketError:
    message = said or "the account has no room for another voice"
    hint = f"remove some (automarket voices ls {vendor.id} --cloned), or take another plan: {vendor.billing_page}"
    return CreditExhausted(f"{vendor.name}: {message}", hint=hint, metadata=facts)


def _not_in_the_plan(said: str, vendor: Vendor, facts: dict[str, str]) -> AutoMarketError:
    message = f"{vendor.name}: the account's plan does not include this: {said}"
    hint = f"take another voice or format, or another plan: {vendor.billing_page}"
    return ProviderNotConfigured(message, hint=hint, metadata=facts)


def _too_long(said: str, vendor: Vendor, facts: dict[str, str]) -> AutoMarketError:
    message, fields = f"{vendor.name}: {said or 'the text is too long'}", {"header.inputs.text": "too long"}
    return InputTooLarge(message, hint="split the text", fields=fields, metadata=facts)


def _bad_sound(said: str, vendor: Vendor, facts: dict[str, str]) -> AutoMarketError:
    message = f"{vendor.name}: {said or 'the sound cannot be used'}"
    return InputUnsuitable(message, hint="send sound of at least 100 ms in a usual format", metadata=facts)


def _not_allowed(said: str, vendor: Vendor, facts: dict[str, str]) -> AutoMarketError:
    """Give the error for a key that is right, and lacks a permission or belongs to an account that is blocked."""
    hint = f"see what the key in {vendor.key_variable} may do: {vendor.keys_page}"
    return ProviderNotConfigured(f"{vendor.name} does not allow this: {said}", hint=hint, metadata=facts)


_SPECIAL: tuple[tuple[Callable[[Refusal], bool], Callable[[str, Vendor, dict[str, str]], AutoMarketError]], ...] = (
    (lambda one: bool(one.words & _VOICE_WORDS) or (one.status == 404 and "voice" in one.message.lower()), _no_voice),
    (lambda one: bool(one.words & _ROOM_WORDS), _no_room),
    (lambda one: bool(one.words & _PLAN_WORDS) or (one.status == 403 and "plan" in one.message), _not_in_the_plan),
    (lambda one: bool(one.words & _LENGTH_WORDS), _too_long),
    (lambda one: bool(one.words & _SOUND_WORDS), _bad_sound),
    (lambda one: one.status == 401 and bool(one.words) and not one.words & _KEY_WORDS, _not_allowed),
)
