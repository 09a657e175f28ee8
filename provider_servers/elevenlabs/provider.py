"""Text in, speech or a sound out; speech in, text out; voices from samples: by ElevenLabs, https://api.elevenlabs.io.

Source: ElevenLabs' OpenAPI description and SDK for Python 2.78. What a call costs is told in credits: characters times
a factor of the model.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from automarket.assets.formats import recognise_file
from automarket.errors import ProviderNotConfigured
from provider_servers.elevenlabs import models, refusals
from provider_servers.elevenlabs.client import ElevenLabsClient
from provider_servers.elevenlabs.clones import Clones
from provider_servers.elevenlabs.speech import Sounding, voice_of
from provider_servers.elevenlabs.transcript import Transcript, form_fields, transcript_events
from provider_servers.elevenlabs.voices import VoiceBook
from provider_servers.runtime import NewVoice, Role, Slot, Voice
from provider_servers.runtime.vendors.errors import broken
from provider_servers.runtime.vendors.provider import VendorProvider
from provider_servers.runtime.vendors.vendor import SETTINGS_SCHEMA, RemoteSettings, Vendor, variables

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from automarket.errors import AutoMarketError
    from provider_servers.runtime import Call, Event, Model
    from provider_servers.runtime.vendors.refusals import Refusal
    from provider_servers.runtime.vendors.upstream import Upstream

VENDOR = Vendor(
    "elevenlabs",
    "ElevenLabs",
    key_variable="ELEVENLABS_API_KEY",
    keys_page="https://elevenlabs.io/app/settings/api-keys",
    billing_page="https://elevenlabs.io/app/subscription",
)
BUILT_IN = ("eleven_multilingual_v2", "eleven_flash_v2_5", "eleven_v3")


class ElevenLabsSettings(RemoteSettings):
    """What a user may set of ElevenLabs."""

    model_config = SettingsConfigDict(env_prefix="AUTOMARKET_ELEVENLABS_")

    api_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=variables("AUTOMARKET_ELEVENLABS_API_KEY", "ELEVENLABS_API_KEY"),
        description="Key of the vendor's API",
    )
    voice: str = Field(default="", description="Voice that speaks where none is named, by id or name")
    cloned_voices: int = Field(
        default=3, ge=0, le=100, description="How many clones of calls' samples stay at the vendor; 0 keeps none"
    )
    credit_price: float = Field(default=0, ge=0, description="What a credit costs in US dollars; 0 is not known")


OWN_SETTINGS: dict[str, Any] = {
    "voice": {"type": "string", "maxLength": 200, "description": "Voice that speaks where none is named."},
    "cloned_voices": {"type": "integer", "minimum": 0, "maximum": 100, "description": "Clones of samples that stay."},
    "credit_price": {"type": "number", "minimum": 0, "description": "What a credit costs in US dollars."},
}


class ElevenLabsProvider(VendorProvider):
    """Speech, voices, transcripts and sound effects of ElevenLabs."""

    id = "elevenlabs"
    name = "ElevenLabs"
    description = "ElevenLabs' voices, clones, transcripts and sound effects; every call is billed."
    aliases = ("eleven-labs",)
    max_concurrent_calls = 20
    voice_samples = Slot(
        "samples", Role.SPEECH, repeated=True, audio=models.VOICE_FORM, max_seconds=models.MAX_VOICE_SECONDS
    )

    settings_schema = SETTINGS_SCHEMA | OWN_SETTINGS
    vendor = VENDOR
    settings_class = ElevenLabsSettings
    default_url = "https://api.elevenlabs.io"
    url_variable = "AUTOMARKET_ELEVENLABS_BASE_URL"

    def __init__(self, settings: ElevenLabsSettings | None = None) -> None:
        super().__init__(settings)
        self._begin()

    def _begin(self) -> None:
        self._book, self._clones = VoiceBook(self._own.voice), Clones(self._own.cloned_voices)

    @property
    def _own(self) -> ElevenLabsSettings:
        assert isinstance(self._settings, ElevenLabsSettings)  # noqa: S101 - settings_class makes them
        return self._settings

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Take settings; another key is another account, with other voices."""
        super().configure(settings)
        self._begin()

    async def close(self) -> None:
        """Finish what is being removed, and close the connections."""
        await self._clones.close()
        await super().close()

    def headers(self, settings: RemoteSettings) -> dict[str, str]:
        """Give the headers of every request, with the key."""
        return {"xi-api-key": settings.key}

    def read_refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        """Read an answer that is no success."""
        return refusals.read_refusal(status, headers, body)

    def special_error(self, refusal: Refusal, model: str) -> AutoMarketError | None:
        """Give the error for what only this vendor refuses."""
        return refusals.special_error(refusal, self.vendor, model)

    def built_in(self) -> list[Model]:
        """List models that are offered until the vendor has been asked."""
        price = self._own.credit_price
        return [*(self.named(name) for name in BUILT_IN), *models.unlisted(price)]

    def named(self, name: str) -> Model:
        """Describe a model of which only the id is known."""
        return models.named(name, self._own.credit_price)

    async def fetch_models(self, upstream: Upstream) -> list[Model]:
        """Ask the vendor for its models."""
        return models.read_models(await ElevenLabsClient(upstream).models(), self._own.credit_price)

    async def check(self, upstream: Upstream) -> None:
        """Make a request that is free of charge and needs the key, which need not have the right to list voices."""
        try:
            await ElevenLabsClient(upstream).check()
        except ProviderNotConfigured as error:
            if refusals.RIGHT_MISSING not in error.metadata.get("upstream_reason", ""):
                raise

    async def voices(self) -> Sequence[Voice]:
        """List the account's voices."""
        return await self._book.list(ElevenLabsClient(self.upstream()))

    async def create_voice(self, voice: NewVoice) -> Voice:
        """Make an instant clone and store it."""
        return await self._book.create(ElevenLabsClient(self.upstream()), voice)

    async def delete_voice(self, voice_id: str) -> None:
        """Remove a voice of the account's own."""
        await self._book.delete(ElevenLabsClient(self.upstream()), voice_id)

    async def answer(self, call: Call, upstream: Upstream) -> AsyncGenerator[Event]:
        """Run a model."""
        work = {"speech-to-text": self._hear, "text-to-sound": self._sound}.get(call.model.capabilities[0], self._speak)
        async with aclosing(work(call, upstream)) as events:
            async for event in events:
                yield event

    async def _speak(self, call: Call, upstream: Upstream) -> AsyncGenerator[Event]:
        client = ElevenLabsClient(upstream)
        async with (
            voice_of(call, client, self._book, self._clones) as voice_id,
            aclosing(Sounding(call, upstream, self._own.credit_price).speech(voice_id)) as events,
        ):
            async for event in events:
                yield event

    def _sound(self, call: Call, upstream: Upstream) -> AsyncGenerator[Event]:
        return Sounding(call, upstream, self._own.credit_price).effect()

    async def _hear(self, call: Call, upstream: Upstream) -> AsyncGenerator[Event]:
        audio = await call.input("audio").path()
        kind = await asyncio.to_thread(recognise_file, audio)
        fields = form_fields(call.model.id, call.options)
        async with ElevenLabsClient(upstream).transcribe(audio, kind, fields) as response:
            async with asyncio.timeout(upstream.first_seconds):
                body = await upstream.body(response)
        try:
            heard = msgspec.json.decode(body, type=Transcript)
        except msgspec.DecodeError:
            raise broken(upstream.vendor, "its answer is no transcript", call.model.id) from None
        for event in transcript_events(heard, call.options):
            yield event
