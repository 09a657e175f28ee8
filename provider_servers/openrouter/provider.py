"""Text, pictures, sound and files in, text out, by OpenRouter: POST https://openrouter.ai/api/v1/chat/completions.

Source: OpenRouter's OpenAPI description, 2026-08. Its list of models is open to everybody, so the key is checked by
GET /key. What a model takes, and what it costs, is in the list.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from provider_servers.runtime.chat.compatible.provider import CompatibleProvider
from provider_servers.runtime.chat.compatible.request import Dialect
from provider_servers.runtime.chat.listing import FILES, PICTURES, SOUND, language_model, token_price, usable
from provider_servers.runtime.text_options import text_option_schemas
from provider_servers.runtime.vendors.vendor import RemoteSettings, Vendor, variables

if TYPE_CHECKING:
    from provider_servers.runtime.describe import Model

VENDOR = Vendor(
    "openrouter",
    "OpenRouter",
    key_variable="OPENROUTER_API_KEY",
    keys_page="https://openrouter.ai/settings/keys",
    billing_page="https://openrouter.ai/settings/credits",
)
BUILT_IN = ("openrouter/auto",)
OWN_OPTIONS: dict[str, Any] = {
    "min_p": {"type": "number", "minimum": 0, "maximum": 1, "description": "Least share of the likeliest token."},
    "top_a": {"type": "number", "minimum": 0, "maximum": 1, "description": "Likewise, by its square."},
    "repetition_penalty": {"type": "number", "minimum": 0, "maximum": 2, "description": "Above 0; 1 is none."},
    "models": {"type": "array", "items": {"type": "string"}, "maxItems": 16, "description": "Models to fall back to."},
    "provider": {"type": "object", "description": "Which vendors may answer: order, only, ignore, max_price."},
}
OPTIONS = {
    **text_option_schemas(
        stop={"maxItems": 4}, reasoning_effort={"enum": ["none", "minimal", "low", "medium", "high", "xhigh", "max"]}
    ),
    **OWN_OPTIONS,
}
# Our options that every model takes, or OpenRouter itself; the others are in a model's list by these names.
_ALWAYS = ("system_prompt", "max_tokens", "models", "provider")
_LISTED_AS = {"reasoning_effort": "reasoning"}
_TITLE = "AutoMarket mesh"


class OpenRouterSettings(RemoteSettings):
    """What a user may set of OpenRouter."""

    model_config = SettingsConfigDict(env_prefix="AUTOMARKET_OPENROUTER_")

    api_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=variables("AUTOMARKET_OPENROUTER_API_KEY", "OPENROUTER_API_KEY"),
        description="Key of the vendor's API",
    )


class Architecture(msgspec.Struct):
    """What a model takes and gives."""

    input_modalities: list[str] | None = None
    output_modalities: list[str] | None = None


class Prices(msgspec.Struct):
    """US dollars for one token, as decimal texts; "-1" differs from call to call."""

    prompt: str | None = None
    completion: str | None = None
    input_cache_read: str | None = None


class TopProvider(msgspec.Struct):
    """Bounds at the vendor that is asked first."""

    max_completion_tokens: int | None = None


class ListedModel(msgspec.Struct):
    """One entry of the list."""

    id: str
    name: str = ""
    description: str | None = None
    context_length: int | None = None
    architecture: Architecture | None = None
    pricing: Prices | None = None
    top_provider: TopProvider | None = None
    supported_parameters: list[str] | None = None
    expiration_date: str | None = None


class ModelList(msgspec.Struct):
    """The list."""

    data: list[ListedModel]


class OpenRouterProvider(CompatibleProvider):
    """Language models of many vendors, by OpenRouter."""

    id = "openrouter"
    name = "OpenRouter"
    description = "Language models of many vendors by OpenRouter; calls are billed, but for models that end in :free."

    vendor = VENDOR
    settings_class = OpenRouterSettings
    default_url = "https://openrouter.ai/api/v1"
    url_variable = "AUTOMARKET_OPENROUTER_BASE_URL"
    dialect = Dialect(asks_for_usage=False, effort="reasoning.effort", gives_reasoning_back=True)
    own_options = OWN_OPTIONS
    check_path = "/key"

    def headers(self, settings: RemoteSettings) -> dict[str, str]:
        """Give the headers of every request, with the key, and who asks."""
        return super().headers(settings) | {"x-openrouter-title": _TITLE}

    def built_in(self) -> list[Model]:
        """List models that are offered until the vendor has been asked."""
        return [self.named(name) for name in BUILT_IN]

    def named(self, name: str) -> Model:
        """Describe a model of which only the id is known."""
        return _model(ListedModel(name))

    def read_models(self, body: bytes) -> list[Model]:
        """Read the list: the models that write text."""
        return usable(_model(one) for one in msgspec.json.decode(body, type=ModelList).data if _writes(one))


def _writes(listed: ListedModel) -> bool:
    made = listed.architecture.output_modalities if listed.architecture is not None else None
    return made is None or "text" in made


def _model(listed: ListedModel) -> Model:
    takes = (listed.architecture.input_modalities if listed.architecture is not None else None) or []
    prices, top = listed.pricing or Prices(), listed.top_provider or TopProvider()
    ends = f" OpenRouter ends it on {listed.expiration_date}." if listed.expiration_date else ""
    return language_model(
        listed.id,
        _options(listed.supported_parameters),
        canonical_id=listed.id.lower(),
        name=listed.name,
        description=(listed.description or "") + ends,
        pictures=PICTURES if "image" in takes else (),
        sound=SOUND if "audio" in takes else (),
        files=FILES if "file" in takes else (),
        pricing=token_price(prices.prompt, prices.completion, prices.input_cache_read),
        context_tokens=listed.context_length,
        max_output_tokens=top.max_completion_tokens,
    )


def _options(supported: list[str] | None) -> dict[str, Any]:
    """Give the options that a model takes; all, where nobody says."""
    if not supported:
        return OPTIONS
    return _options_of(frozenset(supported))


@lru_cache(maxsize=1024)
def _options_of(supported: frozenset[str]) -> dict[str, Any]:
    """Give the options for what is supported: hundreds of models share some dozens of sets."""
    return {
        name: schema for name, schema in OPTIONS.items() if name in _ALWAYS or _LISTED_AS.get(name, name) in supported
    }
