"""Text and pictures in, text out, by Together AI: POST https://api.together.ai/v1/chat/completions.

Source: Together's OpenAPI description, 2026-04, and its SDK 3.1. There are two lists of models: a bare array at
GET /models, and a paged one at GET /v2/supported-models, which takes the first one's place; either is read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import msgspec
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from provider_servers.runtime.chat.compatible.provider import CompatibleProvider
from provider_servers.runtime.chat.compatible.request import Dialect
from provider_servers.runtime.chat.listing import PICTURES, language_model, token_price, usable
from provider_servers.runtime.text_options import text_option_schemas
from provider_servers.runtime.vendors.vendor import RemoteSettings, Vendor, variables
from provider_servers.together.listing import Facts, ListedModel, SupportedModel, SupportedModels

if TYPE_CHECKING:
    from provider_servers.runtime.describe import Model
    from provider_servers.runtime.vendors.upstream import Upstream

VENDOR = Vendor(
    "together",
    "Together",
    key_variable="TOGETHER_API_KEY",
    keys_page="https://api.together.ai/settings/api-keys",
    billing_page="https://api.together.ai/settings/billing",
)
BUILT_IN = ("openai/gpt-oss-20b", "moonshotai/Kimi-K3")
OWN_OPTIONS: dict[str, Any] = {
    "min_p": {"type": "number", "minimum": 0, "maximum": 1, "description": "Least share of the likeliest token."},
    "repetition_penalty": {"type": "number", "minimum": 0, "maximum": 2, "description": "Above 1 repeats less."},
    "context_length_exceeded_behavior": {
        "type": "string",
        "enum": ["truncate", "error"],
        "description": "What happens where the answer does not fit: less is written, or the call fails.",
    },
    "safety_model": {"type": "string", "description": "Model that looks for what must not be said."},
    "reasoning": {
        "type": "object",
        "properties": {"enabled": {"type": "boolean"}},
        "additionalProperties": False,
        "description": "Whether the model thinks first, where that can be chosen.",
    },
    "chat_template_kwargs": {"type": "object", "description": "Values for the model's chat template."},
}
OPTIONS = {
    **text_option_schemas(reasoning_effort={"enum": ["low", "medium", "high"]}),
    **OWN_OPTIONS,
}
MILLION = 1_000_000
_CHATS = frozenset(("chat", "language", "code"))
_PAGE = 500
_MAX_PAGES = 20


class TogetherSettings(RemoteSettings):
    """What a user may set of Together."""

    model_config = SettingsConfigDict(env_prefix="AUTOMARKET_TOGETHER_")

    api_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=variables("AUTOMARKET_TOGETHER_API_KEY", "TOGETHER_API_KEY"),
        description="Key of the vendor's API",
    )
    base_url: str = Field(
        default="",
        validation_alias=variables("AUTOMARKET_TOGETHER_BASE_URL", "TOGETHER_BASE_URL"),
        description="Address of the API; of a proxy in front of it",
    )
    model_list: Literal["v1", "v2"] = Field(
        default="v1", description="Which list of models is read: /v1/models or /v2/supported-models"
    )


class TogetherProvider(CompatibleProvider):
    """Open language models at Together AI."""

    id = "together"
    name = "Together AI"
    description = "Open language models at Together AI; every call is billed."
    aliases = ("together-ai",)

    vendor = VENDOR
    settings_class = TogetherSettings
    default_url = "https://api.together.ai/v1"
    url_variable = "TOGETHER_BASE_URL"
    dialect = Dialect(asks_for_usage=False)
    own_options = OWN_OPTIONS

    def built_in(self) -> list[Model]:
        """List models that are offered until the vendor has been asked."""
        return [self.named(name) for name in BUILT_IN]

    def named(self, name: str) -> Model:
        """Describe a model of which only the id is known."""
        return _model(Facts(name))

    def address(self, settings: RemoteSettings) -> str:
        """Give the base address; those of the vendor's SDK have no version, which is added."""
        found = super().address(settings)
        return found if urlsplit(found).path else f"{found}/v1"

    async def fetch_models(self, upstream: Upstream) -> list[Model]:
        """Ask the vendor for its models."""
        settings = self._settings
        if not isinstance(settings, TogetherSettings) or settings.model_list == "v1":
            return await super().fetch_models(upstream)
        root = replace(upstream, base_url=upstream.base_url.removesuffix("/v1"))
        found: list[SupportedModel] = []
        after = ""
        for _ in range(_MAX_PAGES):
            asked = {"limit": str(_PAGE)} | ({"after": after} if after else {})
            page = msgspec.json.decode(await root.get("/v2/supported-models", asked), type=SupportedModels)
            found += page.data
            after = page.next_cursor or ""
            if not after:
                break
        return usable(_model(one.facts()) for one in found if one.chats)

    def read_models(self, body: bytes) -> list[Model]:
        """Read the first list, which is a bare array: the models that have conversations."""
        listed = msgspec.json.decode(body, type=list[ListedModel])
        return usable(_model(one.facts()) for one in listed if one.type in _CHATS)


def _model(facts: Facts) -> Model:
    price = facts.pricing
    pricing = token_price(price.read, price.written, price.cached, tokens=MILLION) if price is not None else None
    return language_model(
        facts.id,
        OPTIONS,
        canonical_id=facts.id.lower(),
        name=facts.name,
        pictures=PICTURES if "image" in facts.takes else (),
        pricing=pricing,
        context_tokens=facts.context_tokens,
    )
