"""Text in, speech out, by small engines that need no network: flite, or libespeak-ng where flite is not installed.

The sound comes sentence by sentence. Engines: `provider_servers.flite.flite_engine`, `...espeak_engine`.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automarket.assets.roles import Role
from automarket.errors import EngineMissing, InputUnsuitable
from provider_servers.flite.engine import Manner, match_language
from provider_servers.flite.espeak_engine import EspeakEngine
from provider_servers.flite.flite_engine import FliteEngine
from provider_servers.runtime import Availability, Model, Output, Provider, Slot, Usage, Voice
from provider_servers.runtime.shape import as_output
from provider_servers.runtime.sound_format import SOUND_FORMAT_SCHEMA, SOUND_MEDIA_TYPES, read_sound_format

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from provider_servers.flite.engine import EngineFacts, SpeechEngine
    from provider_servers.runtime import Call, Event

COMMAND = "flite"
LIBRARY = "espeakng_loader"
MOST_CHARACTERS = 200_000

_MISSING = "no speech engine is installed: neither the flite command nor espeakng-loader"
_HINT = "apt install flite, or pip install 'automarket[flite]'"


class FliteProvider(Provider):
    """Speaks text.

    Args:
        engine: what speaks; None takes the best that is installed.
    """

    id = "flite"
    name = "Flite"
    description = "Speaks text on this machine, by flite or, where that is not installed, by eSpeak NG."
    aliases = ("local-speech",)

    def __init__(self, engine: SpeechEngine | None = None) -> None:
        self._engine = engine or installed_engine()

    @classmethod
    def availability(cls) -> Availability:
        """Say whether an engine is installed."""
        if shutil.which(COMMAND) or find_spec(LIBRARY):
            return Availability()
        return Availability(available=False, reason=_MISSING, hint=_HINT)

    def models(self) -> Sequence[Model]:
        """List the one model of the engine."""
        facts = self._engine.facts
        return [
            Model(
                id=facts.id,
                name=facts.name,
                description=facts.description,
                capabilities=("text-to-speech",),
                inputs=(Slot("text", Role.TEXT, max_characters=MOST_CHARACTERS, description="What to say."),),
                outputs=(Output("speech", Role.SPEECH, SOUND_MEDIA_TYPES),),
                options=_options(facts),
                replay_safe=True,
            )
        ]

    async def voices(self) -> Sequence[Voice]:
        """List the engine's voices."""
        facts = self._engine.facts
        spoken = facts.languages if len(facts.languages) == 1 else ()  # of several, each voice speaks all
        return [Voice(name, name, f"a voice of {facts.name}", spoken) for name in facts.voices]

    async def transform(self, call: Call) -> AsyncIterator[Event]:
        """Speak the text."""
        engine = self._engine
        language = match_language(call.options["language"], engine.facts.languages)
        manner = Manner(call.options["voice"], language, call.options["speed"])
        form = read_sound_format(call.options, "text_to_speech")
        text = await call.input("text").text()
        pieces = engine.pieces(text)
        if not pieces:
            raise InputUnsuitable(
                f"the text has no words that {engine.facts.name} can speak",
                hint=f"it speaks: {', '.join(engine.facts.languages[:10])}",
            )
        call.log(f"{len(pieces)} sentences, voice {manner.voice}, language {manner.language}")
        samples = engine.speak(pieces, manner, call.workdir)
        yield as_output(samples, engine.facts.sample_rate, form, single=len(pieces) == 1)
        yield Usage("character", input_units=len(text))


def installed_engine() -> SpeechEngine:
    """Give the best engine of this machine.

    Raises:
        EngineMissing: there is none.
    """
    if (command := shutil.which(COMMAND)) is not None:
        return FliteEngine(command)
    if find_spec(LIBRARY) is None:
        raise EngineMissing(_MISSING, hint=_HINT)
    import espeakng_loader

    return EspeakEngine(Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path()))


def _options(facts: EngineFacts) -> dict[str, Any]:
    slowest, fastest = facts.speeds
    return {
        "voice": {
            "type": "string",
            "enum": list(facts.voices),
            "default": facts.voices[0],
            "description": "Who speaks.",
        },
        "speed": {
            "type": "number",
            "minimum": slowest,
            "maximum": fastest,
            "default": 1,
            "description": "1 is the voice's own.",
        },
        "language": {
            "type": "string",
            "default": facts.languages[0],
            "examples": list(facts.languages),
            "description": "Language of the text as a BCP 47 tag; the nearest that is spoken is taken.",
        },
        "format": SOUND_FORMAT_SCHEMA,
    }
