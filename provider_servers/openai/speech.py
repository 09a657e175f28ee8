"""Text in, speech out, as it is spoken: POST /audio/speech. The answer does not say what it used: characters count."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec

from provider_servers.openai.media_models import CONTAINERS, SAMPLES
from provider_servers.runtime import Generated, Usage
from provider_servers.runtime.sound_choice import as_media, choose, not_empty
from provider_servers.runtime.sound_format import read_sound_format
from provider_servers.runtime.vendors.errors import broken

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from provider_servers.runtime import Call, Event
    from provider_servers.runtime.vendors.upstream import Upstream

_OPTIONS = {"voice": "voice", "speed": "speed", "instructions": "instructions", "response_format": "format"}


async def speech(call: Call, upstream: Upstream) -> AsyncGenerator[Event]:
    """Speak a text."""
    form = read_sound_format(call.options, "text_to_speech")
    given = choose(form, CONTAINERS, "mp3", SAMPLES)
    text, voice = await call.input("text").text(), call.options["voice"]
    asked: dict[str, Any] = {
        "model": call.model.id,
        "input": text,
        "voice": {"id": voice} if voice.startswith("voice_") else voice,
        "speed": call.options["speed"],
        "response_format": given.name,
    }
    if "instructions" in call.options:
        asked["instructions"] = call.options["instructions"]
    body, model = msgspec.json.encode(asked), call.model.id
    made = upstream.request("POST", "/audio/speech", body=body, model=model, options=_OPTIONS, family="text_to_speech")
    async with made as response:
        if response.content_type in ("text/html", "application/json"):
            raise broken(upstream.vendor, f"it sent {response.content_type} instead of sound", model)
        sound = await not_empty(upstream.pieces(response), broken(upstream.vendor, "it sent no sound", model))
        async with aclosing(sound):
            yield Usage("character", input_units=len(text))
            generated = Generated(vendor_request_id=response.headers.get("x-request-id", ""))
            yield as_media("speech", sound, given, form, generated)
