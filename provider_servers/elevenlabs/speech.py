"""From a call to the vendor's request for sound, and from its answer to the events of the mesh.

The sound goes on as it comes: the first piece leaves as soon as the vendor has sent it.
"""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automarket.errors import OptionInvalid
from automarket.media.info import AudioFormat
from provider_servers.elevenlabs.client import ElevenLabsClient
from provider_servers.elevenlabs.options import CONTAINERS, NAMED, PCM_RATES, SAMPLES, own
from provider_servers.runtime import Generated, Usage
from provider_servers.runtime.sound_choice import VendorSound, as_media, choose, not_empty
from provider_servers.runtime.sound_format import read_sound_format
from provider_servers.runtime.vendors.errors import broken

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import aiohttp

    from provider_servers.elevenlabs.clones import Clones
    from provider_servers.elevenlabs.voices import VoiceBook
    from provider_servers.runtime import Call, Event
    from provider_servers.runtime.vendors.upstream import Upstream

_SETTINGS = ("speed", "stability", "similarity_boost", "style", "use_speaker_boost")


@asynccontextmanager
async def voice_of(call: Call, client: ElevenLabsClient, book: VoiceBook, clones: Clones) -> AsyncGenerator[str]:
    """Give the id of the voice that is to speak, for the time of the block: a clone of the sample, or a stored one.

    Raises:
        OptionInvalid: there is no such voice, or there is a sample, too.
    """
    sample = call.optional_input("voice")
    if sample is None:
        yield await book.find(client, call.options.get("voice", ""))
        return
    if "voice" in call.options:
        fields = {"header.text_to_speech.voice": "excludes the input voice"}
        raise OptionInvalid("option voice: there is a voice as input, too", hint="leave one of them out", fields=fields)
    async with clones.voice(client, await sample.path()) as voice_id:
        call.log(f"voice {voice_id}, made from the sample")
        yield voice_id


@dataclass(frozen=True, slots=True)
class Sounding:
    """What makes sound for one call.

    Attributes:
        call: the call.
        upstream: the vendor.
        credit_price: what a credit costs, in US dollars; 0 is not known.
    """

    call: Call
    upstream: Upstream
    credit_price: float = 0.0

    async def speech(self, voice_id: str) -> AsyncGenerator[Event]:
        """Speak a text in a voice."""
        form, given = _form(self.call, "text_to_speech")
        text = await self.call.input("text").text()
        options = self.call.options
        body: dict[str, Any] = {
            "text": text,
            "model_id": self.call.model.id,
            **own(options, "seed", "previous_text", "next_text", "apply_text_normalization"),
        }
        if settings := own(options, *_SETTINGS):
            body["voice_settings"] = settings
        if "language" in options:
            body["language_code"] = options["language"].partition("-")[0].lower()
        async with ElevenLabsClient(self.upstream).speak(voice_id, body, given.name) as response:
            sound = await self._sound(response)
            async with aclosing(sound):
                yield self._usage(response, len(text))
                yield as_media("speech", sound, given, form, self._generated(response))

    async def effect(self) -> AsyncGenerator[Event]:
        """Make a sound effect from its description."""
        form, given = _form(self.call, "text_to_audio")
        options = self.call.options
        body: dict[str, Any] = {
            "text": await self.call.input("text").text(),
            "model_id": self.call.model.id,
            **own(options, "prompt_influence", "loop"),
        }
        if "duration" in options:
            body["duration_seconds"] = options["duration"]
        async with ElevenLabsClient(self.upstream).make_sound(body, given.name) as response:
            sound = await self._sound(response)
            async with aclosing(sound):
                yield self._usage(response, None)
                yield as_media("audio", sound, given, form, self._generated(response))

    async def _sound(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
        """Give the sound of an answer, once it has begun.

        Raises:
            BackendFailed: there is none.
        """
        vendor, model = self.upstream.vendor, self.call.model.id
        if response.content_type in ("text/html", "application/json"):
            raise broken(vendor, f"it sent {response.content_type} instead of sound", model)
        return await not_empty(self.upstream.pieces(response), broken(vendor, "it sent no sound", model))

    def _generated(self, response: aiohttp.ClientResponse) -> Generated:
        return Generated(self.call.options.get("seed"), vendor_request_id=response.headers.get("request-id", ""))

    def _usage(self, response: aiohttp.ClientResponse, characters: int | None) -> Usage:
        """Give what was used: the credits that the vendor says, which are characters times a factor of the model."""
        told = response.headers.get("character-cost", "")
        if not told.replace(".", "", 1).isdecimal():
            return Usage("character", input_units=float(characters or 0))
        cost = float(told) * self.credit_price if self.credit_price else None
        return Usage("character", input_units=float(told), cost=cost, currency="USD" if cost is not None else "")


def _form(call: Call, family: str) -> tuple[AudioFormat, VendorSound]:
    """Give what the caller wants, and the vendor's form that it is made from.

    Raises:
        OptionInvalid: two options contradict each other.
    """
    form = read_sound_format(call.options, family)
    wanted = call.options.get("output_format")
    if wanted is None:
        exact = {rate: VendorSound(f"pcm_{rate}", "s16le", rate) for rate in PCM_RATES}
        return form, choose(form, CONTAINERS, "mp3", exact.get(form.sample_rate or 0, SAMPLES))
    if form != AudioFormat():
        fields = {"header.model_options.output_format": "excludes format"}
        raise OptionInvalid("option output_format excludes format", hint="leave one of them out", fields=fields)
    return form, NAMED[wanted]
