"""Text, pictures and documents in, text out, by Anthropic: POST https://api.anthropic.com/v1/messages.

Source: Anthropic's OpenAPI description, 2026-08, of version 2023-06-01, to which requests are pinned: the next one has
no temperature, top_p and top_k.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from provider_servers.anthropic.refusals import read_refusal
from provider_servers.anthropic.request import OPTION_NAMES, request_body
from provider_servers.anthropic.stream import MessageStream
from provider_servers.anthropic.wire import Capabilities, ListedModel, ModelList
from provider_servers.runtime.chat.exchange import read_answer
from provider_servers.runtime.chat.listing import PICTURES, language_model, usable
from provider_servers.runtime.text_options import response_formats, text_option_schemas, text_options
from provider_servers.runtime.vendors.provider import VendorProvider
from provider_servers.runtime.vendors.vendor import RemoteSettings, Vendor, variables

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from provider_servers.runtime.call import Call
    from provider_servers.runtime.describe import Model
    from provider_servers.runtime.events import Event
    from provider_servers.runtime.vendors.refusals import Refusal
    from provider_servers.runtime.vendors.upstream import Upstream

VENDOR = Vendor(
    "anthropic",
    "Anthropic",
    key_variable="ANTHROPIC_API_KEY",
    keys_page="https://platform.claude.com/settings/keys",
    billing_page="https://platform.claude.com/settings/billing",
)
PINNED = "2023-06-01"
BUILT_IN = ("claude-opus-5", "claude-haiku-4-5")
FILES = ("application/pdf", "text/plain")
OWN_OPTIONS: dict[str, Any] = {
    "service_tier": {"type": "string", "enum": ["auto", "standard_only"], "description": "Whether priority is used."},
    "cache_control": {
        "type": "object",
        "properties": {"type": {"const": "ephemeral"}, "ttl": {"enum": ["5m", "1h"]}},
        "required": ["type"],
        "additionalProperties": False,
        "description": "Have the vendor keep what was asked, so that asking more is cheaper.",
    },
}
_SAMPLING = text_option_schemas("temperature", "top_p", "top_k", temperature={"maximum": 1})
_COMMON = text_option_schemas("max_tokens", "system_prompt", "stop", "tools", "tool_choice")
_FORMATS = {
    True: text_option_schemas("response_format", response_format=response_formats("text", "json_schema")),
    False: text_option_schemas("response_format", response_format=response_formats("text")),
}
_EFFORT = text_option_schemas(
    "reasoning_effort", reasoning_effort={"enum": ["none", "low", "medium", "high", "xhigh", "max"]}
)
_MESSAGES = "/v1/messages"
_MODELS = "/v1/models"
_MAX_PAGES = 20


class AnthropicSettings(RemoteSettings):
    """What a user may set of Anthropic."""

    model_config = SettingsConfigDict(env_prefix="AUTOMARKET_ANTHROPIC_")

    api_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=variables("AUTOMARKET_ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY"),
        description="Key of the vendor's API",
    )
    auth_token: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=variables("AUTOMARKET_ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN"),
        description="Token that is sent instead of a key, for proxies that want one",
    )
    base_url: str = Field(
        default="",
        validation_alias=variables("AUTOMARKET_ANTHROPIC_BASE_URL", "ANTHROPIC_BASE_URL"),
        description="Address of the API; of a proxy in front of it",
    )
    api_version: str = Field(default=PINNED, description="Version of the API; later ones take fewer options")

    @property
    def key(self) -> str:
        """The key, or the token that takes its place."""
        return super().key or self.auth_token.get_secret_value().strip()


class AnthropicProvider(VendorProvider):
    """Language models of Anthropic."""

    id = "anthropic"
    name = "Anthropic"
    description = "Anthropic's language models; every call is billed."
    aliases = ("claude",)

    vendor = VENDOR
    settings_class = AnthropicSettings
    default_url = "https://api.anthropic.com"
    url_variable = "ANTHROPIC_BASE_URL"

    def __init__(self, settings: RemoteSettings | None = None) -> None:
        super().__init__(settings)
        self._budgeted: set[str] = set()  # models that are told how many tokens they think

    def headers(self, settings: RemoteSettings) -> dict[str, str]:
        """Give the headers of every request, with the key."""
        version = settings.api_version if isinstance(settings, AnthropicSettings) else PINNED
        key = settings.api_key.get_secret_value().strip()
        if key and version == PINNED:
            return {"x-api-key": key, "anthropic-version": version}
        return {"authorization": f"Bearer {settings.key}", "anthropic-version": version}

    def read_refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        """Read an answer that is no success."""
        return read_refusal(status, headers, body)

    def built_in(self) -> list[Model]:
        """List models that are offered until the vendor has been asked."""
        return [self.named(name) for name in BUILT_IN]

    def named(self, name: str) -> Model:
        """Describe a model of which only the id is known."""
        return self._model(ListedModel(name))

    async def fetch_models(self, upstream: Upstream) -> list[Model]:
        """Ask the vendor for its models, page by page."""
        found: list[ListedModel] = []
        asked = {"limit": "1000"}
        for _ in range(_MAX_PAGES):
            page = msgspec.json.decode(await upstream.get(_MODELS, asked), type=ModelList)
            found += page.data
            if not page.has_more or not page.last_id:
                break
            asked["after_id"] = page.last_id
        return usable(map(self._model, found))

    async def check(self, upstream: Upstream) -> None:
        """Make a request that is free of charge and needs the key; raises when it fails."""
        await upstream.get(_MODELS, {"limit": "1"})

    async def answer(self, call: Call, upstream: Upstream) -> AsyncGenerator[Event]:
        """Run a model."""
        model = call.model
        asked = await request_body(
            model.id,
            await call.conversation(),
            text_options(call),
            max_tokens=model.max_output_tokens,
            adaptive=model.id not in self._budgeted,
            own={name: call.options[name] for name in OWN_OPTIONS if name in call.options},
        )
        body = msgspec.json.encode(asked)
        async with upstream.post(_MESSAGES, body, model=model.id, options=OPTION_NAMES) as response:
            reader = MessageStream(self.vendor, model.id, response.headers)
            async with aclosing(read_answer(response, reader, upstream)) as events:
                async for event in events:
                    yield event

    def _model(self, listed: ListedModel) -> Model:
        can = listed.capabilities or Capabilities()
        thinks = can.thinking.supported
        if thinks and not can.thinking.types.adaptive.supported:
            self._budgeted.add(listed.id)
        settings = self._settings
        old = not isinstance(settings, AnthropicSettings) or settings.api_version == PINNED
        options = {
            **(_SAMPLING if old else {}),
            **_COMMON,
            **_FORMATS[can.structured_outputs.supported],
            **(_EFFORT if thinks else {}),
            **OWN_OPTIONS,
        }
        return language_model(
            listed.id,
            options,
            canonical_id=f"anthropic/{listed.id}",
            name=listed.display_name,
            pictures=PICTURES if can.image_input.supported else (),
            files=FILES if can.pdf_input.supported else ("text/plain",),
            context_tokens=listed.max_input_tokens,
            max_output_tokens=listed.max_tokens,
        )
