"""What ElevenLabs offers: models that speak as the vendor lists them, and those that it does not list."""

from __future__ import annotations

import msgspec

from provider_servers.elevenlabs.options import SOUND_OPTIONS, speech_options, transcript_options
from provider_servers.runtime import AudioFormat, Model, Output, Pricing, Role, Slot
from provider_servers.runtime.sound_format import SOUND_MEDIA_TYPES
from provider_servers.runtime.subtitles import FORMS

SOUND_MODEL = "eleven_text_to_sound_v2"
HEARING = ("scribe_v2", "scribe_v1")
VOICE_FORM = AudioFormat("mp3", 44_100, 1)
MAX_VOICE_SECONDS = 600.0  # the vendor takes no file over 10 MB; this is half of that
MAX_AUDIO_BYTES = 5_000_000_000
HEARD_AS_THEY_ARE = (
    *("audio/mpeg", "audio/wav", "audio/flac", "audio/ogg", "audio/opus", "audio/mp4", "audio/aac", "audio/webm"),
)
_USUAL_CHARACTERS = 5000
_CHARACTERS = {"eleven_v3": 5000, "eleven_multilingual_v2": 10_000, "_v2_5": 40_000, "_v2": 30_000}
"""Longest text by the end of a model's id, where the vendor's list does not say."""


class Language(msgspec.Struct):
    """A language of a model."""

    language_id: str


class Rates(msgspec.Struct, frozen=True):
    """How many credits a character costs."""

    character_cost_multiplier: float = 1.0


class Listed(msgspec.Struct):
    """One entry of the vendor's list."""

    model_id: str
    name: str = ""
    description: str = ""
    can_do_text_to_speech: bool = False
    can_use_style: bool = True
    can_use_speaker_boost: bool = True
    maximum_text_length_per_request: int = 0
    languages: list[Language] = []
    model_rates: Rates = Rates()


def read_models(body: bytes, credit_price: float) -> list[Model]:
    """Read the vendor's list; give the models that speak, then those that it does not list.

    Args:
        body: the answer of GET /v1/models.
        credit_price: what a credit costs, in US dollars; 0 is not known.
    """
    listed = msgspec.json.decode(body, type=list[Listed])
    speaking = [speaking_model(one, credit_price) for one in listed if one.can_do_text_to_speech]
    return [*speaking, *unlisted(credit_price)]


def unlisted(credit_price: float) -> list[Model]:
    """Give the models that the vendor has and does not list: those that hear, and the one that makes sounds."""
    return [*(hearing_model(name) for name in HEARING), sound_model(credit_price)]


def speaking_model(listed: Listed, credit_price: float = 0.0) -> Model:
    """Describe a model that speaks; with a sample of a voice it speaks in that voice."""
    rate = listed.model_rates.character_cost_multiplier
    most = listed.maximum_text_length_per_request or next(
        (count for end, count in _CHARACTERS.items() if listed.model_id.endswith(end)), _USUAL_CHARACTERS
    )
    # The vendor ignores the language for these, and refuses it for others that do not speak it.
    languages = [] if "multilingual_v2" in listed.model_id else sorted({one.language_id for one in listed.languages})
    return Model(
        id=listed.model_id,
        capabilities=("text-to-speech",),  # and, since it takes a voice, voice-cloning
        inputs=(
            Slot("text", Role.TEXT, max_characters=most, description="What to say."),
            Slot(
                "voice",
                Role.SPEECH,
                optional=True,
                audio=VOICE_FORM,
                max_seconds=MAX_VOICE_SECONDS,
                description="Who is to say it: a clone is made from this sample, best from one to two minutes.",
            ),
        ),
        outputs=(Output("speech", Role.SPEECH, SOUND_MEDIA_TYPES),),
        options=speech_options(languages, style=listed.can_use_style, speaker_boost=listed.can_use_speaker_boost),
        canonical_id=f"elevenlabs/{listed.model_id}",
        name=listed.name,
        description=" ".join(listed.description.split())[:240],
        pricing=_pricing(credit_price * rate),
    )


def hearing_model(name: str) -> Model:
    """Describe a model that writes down what is said."""
    return Model(
        id=name,
        capabilities=("speech-to-text",),
        inputs=(Slot("audio", Role.SPEECH, media_types=HEARD_AS_THEY_ARE, max_bytes=MAX_AUDIO_BYTES),),
        outputs=(Output("text", Role.TEXT, tuple(dict.fromkeys(FORMS.values())), streamed=False),),
        options=transcript_options(keyterms=name != "scribe_v1"),
        canonical_id=f"elevenlabs/{name}",
        description="Writes down what is said in 99 languages, with the time of every word and who says it.",
    )


def sound_model(credit_price: float) -> Model:
    """Describe the model that makes sound effects."""
    return Model(
        id=SOUND_MODEL,
        capabilities=("text-to-sound",),
        inputs=(Slot("text", Role.TEXT, max_characters=_USUAL_CHARACTERS, description="What is to be heard."),),
        outputs=(Output("audio", Role.AUDIO, SOUND_MEDIA_TYPES),),
        options=SOUND_OPTIONS,
        canonical_id=f"elevenlabs/{SOUND_MODEL}",
        description="Makes a sound effect from its description.",
        pricing=None if not credit_price else Pricing("credit", credit_price),
    )


def named(name: str, credit_price: float) -> Model:
    """Describe a model of which only the id is known."""
    if name.startswith("scribe"):
        return hearing_model(name)
    return sound_model(credit_price) if name == SOUND_MODEL else speaking_model(Listed(name), credit_price)


def _pricing(price: float) -> Pricing | None:
    return Pricing("character", price) if price else None
