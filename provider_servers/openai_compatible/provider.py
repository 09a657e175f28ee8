"""Text, pictures and sound in, text out, by a server of yours that speaks OpenAI's chat completions.

vLLM, llama.cpp's llama-server, LM Studio, SGLang, LiteLLM and many more do. Its address is a setting; a key only where
it wants one. Which options a server takes it does not say, so all of them go through, and it refuses what it lacks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from pydantic_settings import SettingsConfigDict

from automarket.errors import ProviderNotConfigured
from provider_servers.runtime.chat.compatible.provider import CompatibleProvider
from provider_servers.runtime.chat.listing import PICTURES, SOUND, language_model, usable
from provider_servers.runtime.chat.vendor import RemoteSettings, Vendor
from provider_servers.runtime.describe import Availability, Kind
from provider_servers.runtime.text_options import text_option_schemas

if TYPE_CHECKING:
    from provider_servers.runtime.describe import Model

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

    @classmethod
    def availability(cls) -> Availability:
        """Say whether there is an address."""
        found = super().availability()
        if found.available and not cls.settings_class().base_url:
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


def _model(listed: ListedModel) -> Model:
    return language_model(listed.id, OPTIONS, pictures=PICTURES, sound=SOUND, context_tokens=listed.context_tokens)
