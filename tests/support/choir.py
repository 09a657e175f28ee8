"""A provider that keeps voices: `provider_servers.runtime tests.support.choir:Choir`."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

from automarket.errors import InvalidRequestError
from provider_servers.runtime import AudioFormat, Model, NewVoice, Output, Provider, Role, Slot, TextDelta, Voice

OWN = (
    Voice("alto", "Alma", "warm and low", ("de", "en"), labels={"accent": "swabian"}),
    Voice("bass", "Boris", "deep", ("ru",), preview_url="https://example.org/boris.mp3"),
)


class Choir(Provider):
    """Keeps what it is given; a voice that is called "slow" waits at the gate."""

    id = "choir"
    name = "Choir"
    aliases = ("singers",)
    voice_samples = Slot("samples", Role.SPEECH, repeated=True, audio=AudioFormat("wav", 16_000, 1))

    def __init__(self):
        self.made: dict[str, Voice] = {}
        self.asked: list[NewVoice] = []
        self.sizes: list[int] = []
        self.gate = asyncio.Event()

    def models(self):
        return (Model("echo", ("text-to-text",), (Slot("text", Role.TEXT),), (Output("text", Role.TEXT),)),)

    async def transform(self, call):
        yield TextDelta((json.dumps([one.name for one in self.asked]),))

    async def voices(self):
        return [*OWN, *self.made.values()]

    async def create_voice(self, voice):
        self.asked.append(voice)
        if voice.name == "slow":
            await self.gate.wait()
        self.sizes += [(await one.path()).stat().st_size for one in voice.samples]
        made = Voice(f"clone-{len(self.asked)}", voice.name, voice.description, cloned=True, labels=voice.labels)
        self.made[made.id] = made
        return made

    async def delete_voice(self, voice_id):
        if voice_id in {one.id for one in OWN}:
            raise InvalidRequestError(f"voice {voice_id} is the choir's own")
        self.made.pop(voice_id, None)


class Crowd(Choir):
    """Has more voices than a page holds."""

    async def voices(self):
        return [replace(OWN[0], id=f"voice-{number}") for number in range(2345)]


class OtherCrowd(Crowd):
    """The same, by a name of its own."""

    id = "crowd"
    aliases = ()
