"""Every error of the vendors' sheets: its class, whether it is tried elsewhere, how long to wait, and what helps."""

from __future__ import annotations

import time

import pytest

from automarket.errors import (
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
    VendorOverloaded,
)
from provider_servers.openrouter import provider as openrouter
from provider_servers.runtime.chat.compatible.refusals import read_fault
from provider_servers.runtime.vendors.errors import to_error
from tests.provider_servers.chat.asking import VENDORS, talking_to
from tests.vendors.said import KEY, TOKENS

OTHER, NEVER = "other", "never"

# Scenario, error, where it may be tried again, seconds to wait (None: it does not say), what its hint speaks of.
ROWS: dict[str, list[tuple[str, type, str, float | None, str]]] = {
    "openai": [
        ("unsupported", OptionInvalid, NEVER, None, "leave it out"),
        ("unsupported-value", OptionInvalid, NEVER, None, "leave it out"),
        ("unknown-parameter", InvalidRequestError, NEVER, None, ""),
        ("context", ContextTooLong, NEVER, None, "earlier messages"),
        ("policy", ContentRefused, NEVER, None, "differently"),
        ("bad-id", ModelUnknown, NEVER, None, "automarket models"),
        ("no-such-model", ModelUnknown, NEVER, None, "automarket models"),
        ("forbidden", ProviderNotConfigured, OTHER, None, "OPENAI_API_KEY"),
        ("country", ProviderNotConfigured, OTHER, None, "OPENAI_API_KEY"),
        ("timeout", BackendFailed, OTHER, None, ""),
        ("conflict", BackendFailed, OTHER, None, ""),
        ("slow-down", RateLimited, OTHER, 1, "fallback"),
        ("spend-limit", CreditExhausted, OTHER, None, "billing"),
        ("hard-limit", CreditExhausted, OTHER, None, "billing"),
        ("rate-limit", RateLimited, OTHER, 7, "fallback"),
        ("rate-limit-ms", RateLimited, OTHER, 1.5, "fallback"),
        ("no-quota", CreditExhausted, OTHER, None, "billing"),
        ("no-credit", CreditExhausted, OTHER, None, "billing"),
        ("never", BackendFailed, NEVER, None, ""),
        ("failed", BackendFailed, OTHER, None, ""),
        ("overloaded", VendorOverloaded, OTHER, 5, "later"),
        ("too-large", InputTooLarge, NEVER, None, "smaller"),
        ("html-502", BackendFailed, OTHER, None, ""),
        ("redirect", ProviderNotConfigured, OTHER, None, "OPENAI_BASE_URL"),
    ],
    "openrouter": [
        ("no-such-model", ModelUnknown, NEVER, None, "automarket models"),
        ("bad-id", ModelUnknown, NEVER, None, "automarket models"),
        ("no-credit", CreditExhausted, OTHER, None, "credits"),
        ("moderated", ContentRefused, NEVER, None, "differently"),
        ("denied", ProviderNotConfigured, OTHER, None, "OPENROUTER_API_KEY"),
        ("too-much", InvalidRequestError, NEVER, None, ""),
        ("provider-full", VendorOverloaded, OTHER, 5, "later"),
        ("no-provider", ModelUnknown, NEVER, None, "automarket models"),
        ("timeout", BackendFailed, OTHER, None, ""),
        ("too-large", InputTooLarge, NEVER, None, "smaller"),
        ("rate-limit", RateLimited, OTHER, 12, "fallback"),
        ("context", ContextTooLong, NEVER, None, "earlier messages"),
        ("failed", BackendFailed, OTHER, None, ""),
        ("provider-down", BackendFailed, OTHER, None, ""),
        ("overloaded", VendorOverloaded, OTHER, 4, "later"),
        ("cloudflare", BackendFailed, OTHER, None, ""),
        ("never", VendorOverloaded, NEVER, None, "later"),
        ("later", VendorOverloaded, OTHER, 2.5, "later"),
        ("error-body", BackendFailed, OTHER, None, ""),
        ("error-first", RateLimited, OTHER, 1, "fallback"),
        ("html-502", BackendFailed, OTHER, None, ""),
        ("redirect", ProviderNotConfigured, OTHER, None, "AUTOMARKET_OPENROUTER_BASE_URL"),
    ],
    "together": [
        ("bad-request", InvalidRequestError, NEVER, None, ""),
        ("no-such-model", ModelUnknown, NEVER, None, "automarket models"),
        ("plain-401", ProviderNotConfigured, OTHER, None, "TOGETHER_API_KEY"),
        ("short-401", ProviderNotConfigured, OTHER, None, "TOGETHER_API_KEY"),
        ("no-credit", CreditExhausted, OTHER, None, "billing"),
        ("context", ContextTooLong, NEVER, None, "earlier messages"),
        ("too-large", InputTooLarge, NEVER, None, "smaller"),
        ("rate-limit", RateLimited, OTHER, 3, "fallback"),
        ("overloaded", VendorOverloaded, OTHER, 5, "later"),
        ("failed", BackendFailed, OTHER, None, ""),
        ("timeout", BackendFailed, OTHER, None, ""),
        ("html-520", BackendFailed, OTHER, None, ""),
        ("said", InvalidRequestError, NEVER, None, ""),
        ("cloudflare", BackendFailed, OTHER, None, ""),
        ("html-502", BackendFailed, OTHER, None, ""),
        ("redirect", ProviderNotConfigured, OTHER, None, "TOGETHER_BASE_URL"),
    ],
    "anthropic": [
        ("no-temperature", OptionInvalid, NEVER, None, "leave it out"),
        ("no-such-model", ModelUnknown, NEVER, None, "automarket models"),
        ("context", ContextTooLong, NEVER, None, "earlier messages"),
        ("no-credit", CreditExhausted, OTHER, None, "billing"),
        ("billing", CreditExhausted, OTHER, None, "billing"),
        ("forbidden", ProviderNotConfigured, OTHER, None, "ANTHROPIC_API_KEY"),
        ("conflict", BackendFailed, OTHER, None, ""),
        ("rate-limit", RateLimited, OTHER, 21, "fallback"),
        ("spend-limit", CreditExhausted, OTHER, None, "billing"),
        ("failed", BackendFailed, OTHER, None, ""),
        ("timeout", BackendFailed, OTHER, None, ""),
        ("overloaded", VendorOverloaded, OTHER, 8, "later"),
        ("html-524", BackendFailed, OTHER, None, ""),
        ("never", BackendFailed, NEVER, None, ""),
        ("error-first", VendorOverloaded, OTHER, 5, "later"),
        ("too-large", InputTooLarge, NEVER, None, "smaller"),
        ("html-502", BackendFailed, OTHER, None, ""),
        ("redirect", ProviderNotConfigured, OTHER, None, "ANTHROPIC_BASE_URL"),
    ],
}
IN_STREAM = {
    "openai": BackendFailed,
    "openai-compatible": BackendFailed,
    "openrouter": InvalidRequestError,
    "together": BackendFailed,
    "anthropic": VendorOverloaded,
}


@pytest.mark.parametrize("vendor", ROWS)
async def test_every_row_of_a_sheet(vendor):
    async with talking_to(vendor) as asked:
        for scenario, cls, retry, wait, hint in ROWS[vendor]:
            heard = await asked.ask(scenario)
            error = heard.error
            assert type(error) is cls, (scenario, error)
            assert error.metadata["retry"] == retry, scenario
            assert error.retry_after == wait, scenario
            assert hint in (error.hint or ""), (scenario, error.hint)
            assert error.metadata["provider"] == vendor
            assert heard.kinds == [], scenario  # nothing was accepted: the call may go elsewhere
            assert "<h1" not in error.message, scenario
            if scenario != "redirect":
                assert error.metadata["upstream_code"].isdecimal()


@pytest.mark.parametrize("vendor", ["openai", "openrouter", "together", "anthropic"])
async def test_how_many_tokens_were_too_many(vendor):
    limits = {"openai": ("8192", "9001"), "openrouter": ("8192", "9001"), "together": ("8193", "9000")}
    limit, sent = limits.get(vendor, ("200000", "210000"))
    async with talking_to(vendor) as asked:
        error = (await asked.ask("context")).error
    assert (error.metadata["context_tokens"], error.metadata["request_tokens"]) == (limit, sent)
    assert limit in error.message


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
async def test_a_parameter_is_named_as_the_option_that_it_is(vendor):
    scenario, option = {"openai": ("unsupported", "stop"), "anthropic": ("no-temperature", "temperature")}[vendor]
    async with talking_to(vendor) as asked:
        error = (await asked.ask(scenario)).error
    assert list(error.fields) == [f"header.text_to_text.{option}"]


@pytest.mark.parametrize("size", [1, 3, 65536])
@pytest.mark.parametrize("vendor", VENDORS)
async def test_an_error_in_a_stream_keeps_what_came_before(vendor, size):
    async with talking_to(vendor) as asked:
        asked.fake.piece_bytes = size
        heard = await asked.ask("error-in-stream")
    assert tuple(heard.tokens) == TOKENS[:3]
    assert type(heard.error) is IN_STREAM[vendor]
    assert heard.completion is None


# OpenRouter's words for what went wrong behind it, when a stream has begun.
KINDS = {
    "authentication": (ProviderNotConfigured, OTHER),
    "payment_required": (CreditExhausted, OTHER),
    "permission_denied": (ProviderNotConfigured, OTHER),
    "not_found": (ModelUnknown, NEVER),
    "rate_limit_exceeded": (RateLimited, OTHER),
    "provider_overloaded": (VendorOverloaded, OTHER),
    "provider_unavailable": (BackendFailed, OTHER),
    "timeout": (BackendFailed, OTHER),
    "invalid_request": (InvalidRequestError, NEVER),
    "context_length_exceeded": (ContextTooLong, NEVER),
    "max_tokens_exceeded": (InvalidRequestError, NEVER),
    "token_limit_exceeded": (ContextTooLong, NEVER),
    "string_too_long": (InvalidRequestError, NEVER),
    "content_policy_violation": (ContentRefused, NEVER),
    "refusal": (ContentRefused, NEVER),
    "payload_too_large": (InputTooLarge, NEVER),
    "server": (BackendFailed, OTHER),
    "unmapped": (BackendFailed, OTHER),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_openrouter_calls_an_error_in_a_stream(kind):
    cls, retry = KINDS[kind]
    fault = read_fault({"message": "It failed", "metadata": {"error_type": kind}}, {})
    error = to_error(fault, openrouter.VENDOR, "m")
    assert type(error) is cls
    assert error.metadata.get("retry", error.retry) == retry


async def test_an_error_beside_a_finish_reason():
    async with talking_to("openrouter") as asked:
        heard = await asked.ask("error-finish")
    assert tuple(heard.tokens) == TOKENS[:3]
    assert type(heard.error) is BackendFailed
    assert "Upstream broke" in heard.error.message


@pytest.mark.parametrize("scenario", ["cut", "ends-early", "half-event", "garbage"])
@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_stream_without_its_end_is_no_success(vendor, scenario):
    async with talking_to(vendor) as asked:
        heard = await asked.ask(scenario)
    assert tuple(heard.tokens) == TOKENS[:3]
    assert type(heard.error) is BackendFailed
    assert heard.error.metadata["phase"] == "running"
    expected = {"garbage": "it sent what is no", "cut": "broke"}.get(scenario, "before its end marker")
    assert expected in heard.error.message


@pytest.mark.parametrize("scenario", ["nothing", "page"])
@pytest.mark.parametrize("vendor", VENDORS)
async def test_an_answer_that_is_none(vendor, scenario):
    async with talking_to(vendor) as asked:
        heard = await asked.ask(scenario)
    assert type(heard.error) is BackendFailed
    assert heard.kinds == []


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_stalled_stream_ends_by_its_own_time_not_by_the_deadline(vendor):
    async with talking_to(vendor, timeout=0.4, idle_timeout=0.2) as asked:
        begin = time.monotonic()
        heard = await asked.ask("slow")
        assert heard.text == "a"
        assert type(heard.error) is BackendFailed
        assert "sent nothing for 0.2 s" in heard.error.message
        assert type((await asked.ask("stalled-before")).error) is BackendFailed
        assert time.monotonic() - begin < 5


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_key_that_is_refused_is_never_repeated(vendor):
    wrong = "sk-wrong-key-0123456789"
    async with talking_to(vendor, api_key=wrong) as asked:
        heard = await asked.ask("ok")
        variable = asked.provider.vendor.key_variable
    assert type(heard.error) is ProviderNotConfigured
    assert variable in f"{heard.error.message} {heard.error.hint}"
    assert wrong[:8] not in f"{heard.error!r} {heard.error.fields} {heard.error.metadata}"
    assert wrong[-4:] not in f"{heard.error} {heard.error.metadata}"


@pytest.mark.parametrize("vendor", ["openai", "openrouter", "together", "anthropic"])
async def test_a_key_that_is_missing_is_named(vendor, monkeypatch):
    cls = VENDORS[vendor][1]
    name = cls.vendor.key_variable
    for variable in (name, f"AUTOMARKET_{name}"):
        monkeypatch.delenv(variable, raising=False)
    missing = cls.availability()
    assert not missing.available
    assert missing.reason == f"{name} is not set"
    assert missing.hint.startswith(f"set {name} to a key of https://")
    assert missing.error_reason == "PROVIDER_NOT_CONFIGURED"
    monkeypatch.setenv(name, KEY)
    assert cls.availability().available
    async with talking_to(vendor, api_key="") as asked:
        heard = await asked.ask("ok")
        assert asked.fake.requests == []
    assert type(heard.error) is ProviderNotConfigured
    assert name in heard.error.message
