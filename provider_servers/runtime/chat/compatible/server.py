"""Text, pictures and sound in, text out, by a server of yours that speaks OpenAI's chat completions.

vLLM, llama.cpp's llama-server, LM Studio, SGLang, LiteLLM and many more do. Its address is a setting; a key only where
it wants one. Which options a server takes it does not say, so all of them go through, and it refuses what it lacks.

One such server is the provider openai-compatible. Any number of them, each a provider under a name of its own, come
from AUTOMARKET_CHAT_SERVERS: "vllm=http://gpu:8000/v1, studio=http://127.0.0.1:1234/v1".
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import msgspec
from pydantic_settings import SettingsConfigDict

from automarket.errors import ProviderNotConfigured
from provider_servers.runtime.chat.compatible.provider import CompatibleProvider
from provider_servers.runtime.chat.listing import PICTURES, SOUND, language_model, usable
from provider_servers.runtime.describe import Availability, Kind
from provider_servers.runtime.text_options import text_option_schemas
from provider_servers.runtime.vendors.vendor import RemoteSettings, Vendor

if TYPE_CHECKING:
    from provider_servers.runtime.describe import Model

SERVERS = "AUTOMARKET_CHAT_SERVERS"
ADDRESS = "AUTOMARKET_OPENAI_COMPATIBLE_BASE_URL"
VENDOR = Vendor("openai-compatible", "the OpenAI-compatible server")
OWN_OPTIONS: dict[str, Any] = {
    "min_p": {"type": "number", "minimum": 0, "maximum": 1, "description": "Least share of the likeliest token."},
    "repetition_penalty": {"type": "number", "minimum": 0, "maximum": 2, "description": "Above 1 repeats less."},
    "chat_template_kwargs": {"type": "object", "description": "Values for the model's chat template."},
}
OPTIONS = {
    **text_option_schemas(
        reasoning_effort={"enum": ["none", "minimal", "low", "medium", "high", "xhigh", "max"]},
    ),
    **OWN_OPTIONS,
}


_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ADDRESS = re.compile(r"https?://[^/\s]")


class OpenAICompatibleSettings(RemoteSettings):
    """What a user may set of a server of their own; `models` names those that its list leaves out."""

    model_config = SettingsConfigDict(env_prefix="AUTOMARKET_OPENAI_COMPATIBLE_")


class ListedModel(msgspec.Struct):
    """One entry of the list; `max_model_len` is vLLM's, `meta` llama.cpp's."""

    id: str
    max_model_len: int | None = None
    meta: dict[str, Any] | None = None

    @property
    def context_tokens(self) -> int | None:
        """How many tokens it has in view, where the server says it."""
        trained = (self.meta or {}).get("n_ctx_train")
        return self.max_model_len or (trained if isinstance(trained, int) else None)


class ModelList(msgspec.Struct):
    """The list."""

    data: list[ListedModel]


class OpenAICompatibleProvider(CompatibleProvider):
    """Language models of a server that speaks OpenAI's chat completions."""

    id = "openai-compatible"
    name = "OpenAI-compatible server"
    description = "Language models of a server of yours that speaks OpenAI's API: vLLM, llama.cpp, LM Studio."
    kind = Kind.LOCAL

    vendor = VENDOR
    settings_class = OpenAICompatibleSettings
    url_variable = ADDRESS
    own_options = OWN_OPTIONS
    asks_again = True

    @classmethod
    def availability(cls) -> Availability:
        """Say whether there is an address."""
        found = super().availability()
        if found.available and not cls.default_url and not cls.settings_class().base_url:
            hint = f"set {ADDRESS} to its address, such as http://127.0.0.1:8000/v1"
            return Availability.lacking(ProviderNotConfigured(f"{ADDRESS} is not set", hint=hint))
        return found

    def built_in(self) -> list[Model]:
        """List nothing: what a server has only it can say."""
        return []

    def named(self, name: str) -> Model:
        """Describe a model of which only the id is known."""
        return _model(ListedModel(name))

    def read_models(self, body: bytes) -> list[Model]:
        """Read the server's list."""
        return usable(map(_model, msgspec.json.decode(body, type=ModelList).data))


def configured() -> dict[str, type[OpenAICompatibleProvider]]:
    """Give the providers of AUTOMARKET_CHAT_SERVERS by their names; an entry that is wrong is one that cannot run."""
    entries = [entry.strip() for entry in os.environ.get(SERVERS, "").split(",") if entry.strip()]
    return {made.id: made for number, entry in enumerate(entries, 1) if (made := _configured(entry, number))}


def _configured(entry: str, number: int) -> type[OpenAICompatibleProvider]:
    name, _, url = (part.strip() for part in entry.partition("="))
    is_good = _NAME.fullmatch(name) is not None and _ADDRESS.match(url) is not None
    name = name if is_good else f"chat-server-{number}"

    class Settings(OpenAICompatibleSettings):
        """What a user may set of this server."""

        model_config = SettingsConfigDict(env_prefix=f"AUTOMARKET_{name.upper().replace('-', '_')}_")

    class ConfiguredProvider(OpenAICompatibleProvider):
        """Language models of one server."""

        vendor = Vendor(name, f"server {name}")
        settings_class = Settings
        default_url = url.rstrip("/")
        url_variable = SERVERS

        @classmethod
        def availability(cls) -> Availability:
            """Say whether its entry can be read."""
            if is_good:
                return super().availability()
            hint = "write a name and an address for each: vllm=http://127.0.0.1:8000/v1"
            message = f"entry {number} of {SERVERS} is not NAME=ADDRESS"
            return Availability.lacking(ProviderNotConfigured(message, hint=hint))

    ConfiguredProvider.id = name
    ConfiguredProvider.name = name
    return ConfiguredProvider


def _model(listed: ListedModel) -> Model:
    return language_model(listed.id, OPTIONS, pictures=PICTURES, sound=SOUND, context_tokens=listed.context_tokens)
