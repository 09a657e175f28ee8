"""Text in, speech out; with a sample of a voice as second input, in that voice.

Backend: devnen's Chatterbox-TTS-Server 2.0 in a Docker container; `client` speaks its API. It speaks one request at a
time and can neither stream nor stop one: a text is sent sentence by sentence, and calls take turns.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from typing import TYPE_CHECKING

from automarket.errors import InputUnsuitable, OptionInvalid
from provider_servers.chatterbox.client import ChatterboxClient, Manner
from provider_servers.chatterbox.options import MOST_SEED, SCHEMA
from provider_servers.chatterbox.request import Link
from provider_servers.chatterbox.sample import FORM, LONGEST_SECONDS, read_sample
from provider_servers.chatterbox.speaker import Speaker
from provider_servers.chatterbox.voices import Voices
from provider_servers.runtime import (
    Availability,
    BackedProvider,
    Call,
    Event,
    Model,
    Output,
    Role,
    Slot,
    Usage,
    runs_in_docker,
    waiting,
)
from provider_servers.runtime.http.backend import make_http
from provider_servers.runtime.sentences import split
from provider_servers.runtime.shape import as_output
from provider_servers.runtime.sound_format import SOUND_MEDIA_TYPES, read_sound_format
from provider_servers.runtime.turns import Turns
from services.chatterbox import SPEC, ChatterboxSettings
from services.runtime import OnDemand, make_service

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from provider_servers.chatterbox.sample import VoiceSample

MOST_CHARACTERS = 200_000
LONGEST_PIECE = 300  # characters: about 20 s; the model is known to go astray after 25

CHATTERBOX = Model(
    id="chatterbox-tts",
    capabilities=("text-to-speech",),  # and, since it takes a voice, voice-cloning
    inputs=(
        Slot("text", Role.TEXT, max_characters=MOST_CHARACTERS, description="What to say."),
        Slot(
            "voice",
            Role.SPEECH,
            optional=True,
            audio=FORM,
            max_seconds=LONGEST_SECONDS,
            description="Who is to say it: 1 to 30 s of one person's speech; Turbo needs more than 5 s.",
        ),
    ),
    outputs=(Output("speech", Role.SPEECH, SOUND_MEDIA_TYPES),),
    options=SCHEMA,
    name="Chatterbox",
    description="Resemble AI's Chatterbox in a Docker container: natural voices, and any voice from a short sample.",
    replay_safe=True,
)


class ChatterboxProvider(BackedProvider):
    """Text-to-speech and voice cloning by Chatterbox in Docker."""

    id = "chatterbox"
    name = "Chatterbox"
    description = "Speaks text, in any voice of which it gets a sample, in a container that is started when needed."
    aliases = ("chatterbox-docker",)
    max_concurrent_calls = 8

    def __init__(self, settings: ChatterboxSettings | None = None, backend: OnDemand | None = None) -> None:
        settings = settings or ChatterboxSettings()
        self._voices = Voices()
        turns, http = Turns(), make_http()

        async def is_ready(url: str) -> bool:
            # A server that works for us is ready, and cannot say so.
            return turns.busy or await ChatterboxClient(url, http).is_ready()

        super().__init__(backend or OnDemand(make_service(SPEC, settings, is_ready=is_ready), settings))
        self._link = Link(self._backend, turns, http)

    @classmethod
    def availability(cls) -> Availability:
        """Say whether the backend can be had here."""
        return runs_in_docker(ChatterboxSettings().base_url)

    def models(self) -> Sequence[Model]:
        """List the one model, whichever of its kinds the container loads."""
        return (CHATTERBOX,)

    async def close(self) -> None:
        """Give up requests under way, and stop the backend, where it is the mesh's."""
        await self._link.turns.close()
        await super().close()
        await self._link.http.aclose()

    async def transform(self, call: Call) -> AsyncGenerator[Event]:
        """Speak the text."""
        form = read_sound_format(call.options, "text_to_speech")
        text = await call.input("text").text()
        pieces = split(text, LONGEST_PIECE)
        if not pieces:
            raise InputUnsuitable("the text has no words", hint="send at least one word")
        sample = await _sample(call)
        seed = call.options["seed"] or random.randint(1, MOST_SEED)  # noqa: S311 - no secret
        call.log(f"{len(pieces)} sentences, seed {seed}, {'a voice from a sample' if sample else 'an own voice'}")

        async def settle(client: ChatterboxClient, *, anew: bool) -> Manner:
            if anew:
                self._voices.forget()
            return await self._manner(client, call, sample, seed)

        async with self._backend.lease() as lease:
            async with aclosing(lease.ready()) as states:
                async for status in states:
                    yield waiting(status)
            speaker = Speaker(self._link, lease, call, pieces, settle)
            try:
                async with aclosing(speaker.first()) as news:
                    async for one in news:
                        yield one
                first = speaker.spoken
                size = first.size if len(pieces) == 1 else None
                yield as_output(speaker.samples(), first.sample_rate, form, data_bytes=size)
            finally:
                speaker.leave()
        yield Usage("character", input_units=len(text))

    async def _manner(self, client: ChatterboxClient, call: Call, sample: VoiceSample | None, seed: int) -> Manner:
        """Find out how to speak: in a voice that the server has, in a language that its model speaks."""
        options = call.options
        if sample is None:
            voice = await self._voices.own(client, options.get("voice", ""))
        else:
            voice = await self._voices.clone(client, sample)
        call.log(f"voice {voice}")
        return Manner(
            voice=voice,
            cloned=sample is not None,
            language=await _language(client, options["language"]),
            speed=options["speed"],
            temperature=options["temperature"],
            exaggeration=options["exaggeration"],
            cfg_weight=options["cfg_weight"],
            seed=seed,
        )


async def _sample(call: Call) -> VoiceSample | None:
    """Give the sample of the voice, checked; None when there is none."""
    given = call.optional_input("voice")
    if given is None:
        return None
    if "voice" in call.options:
        fields = {"header.text_to_speech.voice": "excludes the input voice"}
        raise OptionInvalid("option voice: there is a voice as input, too", hint="leave one of them out", fields=fields)
    return await asyncio.to_thread(read_sample, await given.data())


async def _language(client: ChatterboxClient, tag: str) -> str:
    """Give the server's code of a language.

    Raises:
        OptionInvalid: the model that is loaded does not speak it.
    """
    code = tag.lower().replace("_", "-").partition("-")[0]
    if code == "en":
        return code
    known = await client.model_info()
    if code not in known.languages:
        raise OptionInvalid(
            f"option language: the model that is loaded ({known.kind}) does not speak {tag!r}",
            hint=f"it speaks: {', '.join(known.languages)}; the multilingual model speaks 23 languages",
            fields={"header.text_to_speech.language": f"{tag!r} is not spoken"},
        )
    return code
