"""Conversations, pictures, speech and transcripts by OpenAI: https://api.openai.com/v1.

Source: OpenAI's OpenAPI description, 2026-08. The list of models says neither what a model can do nor what it costs;
what serves which of them is told by the names.
"""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from automarket.errors import ModelGone
from automarket.voices import Voice
from provider_servers.openai.images import pictures
from provider_servers.openai.media_models import EDITS, RETIRED, VOICES, media_models
from provider_servers.openai.speech import speech
from provider_servers.openai.transcription import transcript
from provider_servers.runtime.chat.compatible.provider import CompatibleProvider
from provider_servers.runtime.chat.compatible.request import Dialect
from provider_servers.runtime.chat.listing import FILES, PICTURES, SOUND, language_model, usable
from provider_servers.runtime.text_options import text_option_schemas
from provider_servers.runtime.vendors.errors import facts_of
from provider_servers.runtime.vendors.refusals import Trouble
from provider_servers.runtime.vendors.vendor import RemoteSettings, Vendor, variables

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from automarket.errors import AutoMarketError
    from provider_servers.runtime.call import Call
    from provider_servers.runtime.describe import Model
    from provider_servers.runtime.events import Event
    from provider_servers.runtime.vendors.refusals import Refusal
    from provider_servers.runtime.vendors.upstream import Upstream

VENDOR = Vendor(
    "openai",
    "OpenAI",
    key_variable="OPENAI_API_KEY",
    keys_page="https://platform.openai.com/api-keys",
    billing_page="https://platform.openai.com/settings/organization/billing",
)
BUILT_IN = ("gpt-6-luna", "gpt-5.6-luna", "gpt-4o-mini", "gpt-image-2", "gpt-4o-mini-tts", "gpt-transcribe")
OWN_OPTIONS = {
    "parallel_tool_calls": {"type": "boolean", "description": "Whether several tools may be called at once."},
    "service_tier": {
        "type": "string",
        "enum": ["auto", "default", "flex", "priority"],
        "description": "How fast, and at what price.",
    },
    "verbosity": {"type": "string", "enum": ["low", "medium", "high"], "description": "How long answers are to be."},
}
OPTIONS = {
    **text_option_schemas(
        *("temperature", "top_p", "max_tokens", "system_prompt", "stop", "seed", "presence_penalty"),
        *("frequency_penalty", "response_format", "tools", "tool_choice", "reasoning_effort"),
        stop={"maxItems": 4},
        reasoning_effort={"enum": ["none", "minimal", "low", "medium", "high", "xhigh"]},
    ),
    **OWN_OPTIONS,
}
_CHATS = re.compile(r"(ft:)?(gpt-|chatgpt-|o[0-9])")
_OTHERWISE = re.compile(r"image|tts|transcribe|realtime|instruct|codex|deep-research|search|live|-pro(-|$)")


class OpenAISettings(RemoteSettings):
    """What a user may set of OpenAI."""

    model_config = SettingsConfigDict(env_prefix="AUTOMARKET_OPENAI_")

    api_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=variables("AUTOMARKET_OPENAI_API_KEY", "OPENAI_API_KEY"),
        description="Key of the vendor's API",
    )
    organization: str = Field(
        default="",
        validation_alias=variables("AUTOMARKET_OPENAI_ORGANIZATION", "OPENAI_ORG_ID"),
        description="Organisation that is billed, where the key has several",
    )
    project: str = Field(
        default="",
        validation_alias=variables("AUTOMARKET_OPENAI_PROJECT", "OPENAI_PROJECT_ID"),
        description="Project that is billed, where the key has several",
    )
    base_url: str = Field(
        default="",
        validation_alias=variables("AUTOMARKET_OPENAI_BASE_URL", "OPENAI_BASE_URL"),
        description="Address of the API; of a proxy in front of it",
    )


class ListedModel(msgspec.Struct):
    """One entry of the list."""

    id: str
    shutdown_date: str | None = None


class ModelList(msgspec.Struct):
    """The list."""

    data: list[ListedModel]


class OpenAIProvider(CompatibleProvider):
    """Language models of OpenAI, and those that make pictures, speak and hear."""

    id = "openai"
    name = "OpenAI"
    description = "OpenAI's language models, pictures, speech and transcripts; every call is billed."

    vendor = VENDOR
    settings_class = OpenAISettings
    default_url = "https://api.openai.com/v1"
    url_variable = "OPENAI_BASE_URL"
    dialect = Dialect(max_tokens="max_completion_tokens")
    own_options = OWN_OPTIONS

    def headers(self, settings: RemoteSettings) -> dict[str, str]:
        """Give the headers of every request, with the key, and who is billed."""
        billed = {"openai-organization": settings.organization, "openai-project": settings.project}
        return super().headers(settings) | {name: value for name, value in billed.items() if value}

    def built_in(self) -> list[Model]:
        """List models that are offered until the vendor has been asked."""
        return list(_models(map(ListedModel, BUILT_IN)))

    def named(self, name: str) -> Model:
        """Describe a model of which only the id is known."""
        found = list(_models([ListedModel(name.removesuffix(EDITS))], every=True))
        return next((model for model in found if model.id == name), found[0])

    def read_models(self, body: bytes) -> list[Model]:
        """Read the list: the models that have conversations, make pictures, speak or hear."""
        return usable(_models(msgspec.json.decode(body, type=ModelList).data))

    def special_error(self, refusal: Refusal, model: str) -> AutoMarketError | None:
        """Give the error for a model that the vendor has taken out of service."""
        if refusal.trouble is not Trouble.MODEL or model not in RETIRED:
            return None
        message, instead = f"{self.vendor.name} has taken {model} out of service", RETIRED[model]
        return ModelGone(message, hint=f"take {instead}", metadata=facts_of(refusal, self.vendor, model))

    async def voices(self) -> Sequence[Voice]:
        """List the voices that speak; those of one's own, voice_..., the vendor does not list."""
        return [Voice(name, name.title()) for name in VOICES]

    async def answer(self, call: Call, upstream: Upstream) -> AsyncGenerator[Event]:
        """Run a model."""
        work = _WORK.get(call.model.capabilities[0], super().answer)
        async with aclosing(work(call, upstream)) as events:
            async for event in events:
                yield event


_WORK = {
    "text-to-image": pictures,
    "image-to-image": pictures,
    "text-to-speech": speech,
    "speech-to-text": transcript,
}


def _models(listed: Iterable[ListedModel], *, every: bool = False) -> Iterable[Model]:
    """Describe the models of a list; with `every` also those whose names say nothing."""
    for one in listed:
        ending = f"OpenAI ends it on {one.shutdown_date}." if one.shutdown_date else ""
        media = None if "realtime" in one.id else media_models(one.id, ending)
        if media is not None:
            yield from media
        elif every or (_CHATS.match(one.id) and not _OTHERWISE.search(one.id)):
            yield _model(one)


def _model(listed: ListedModel) -> Model:
    hears = "audio" in listed.id
    return language_model(
        listed.id,
        OPTIONS,
        canonical_id=f"openai/{listed.id}",
        description=f"OpenAI ends it on {listed.shutdown_date}." if listed.shutdown_date else "",
        pictures=() if hears else PICTURES,
        sound=SOUND if hears else (),
        files=() if hears else FILES,
    )
