"""Whisper's models as CTranslate2 conversions on Hugging Face, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from provider_servers.runtime import AudioFormat, Model, Output, Role, Slot
from provider_servers.runtime.speech_options import COMMON, VAD
from provider_servers.runtime.subtitles import FORMS
from provider_servers.runtime.windows import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Conversion:
    """A model's weights.

    Attributes:
        source: a repository on Hugging Face, or a folder.
        canonical_id: the model that was converted.
        about: what it is good for, and its size.
        english: it hears English only.
        translates: it can give the words in English.
    """

    source: str
    canonical_id: str = ""
    about: str = ""
    english: bool = False
    translates: bool = True


def _systran(name: str, about: str) -> Conversion:
    return Conversion(f"Systran/faster-whisper-{name}", f"openai/whisper-{name}", about)


def _distil(source: str, name: str, about: str) -> Conversion:
    return Conversion(source, f"distil-whisper/{name}", about, english=True, translates=False)


# The first one is what a call gets that names no model.
CONVERSIONS: Mapping[str, Conversion] = {
    "base": _systran("base", "A good start on any machine; 145 MB."),
    "tiny": _systran("tiny", "The fastest; 75 MB."),
    "small": _systran("small", "Clearly better than base, and three times slower; 484 MB."),
    "medium": _systran("medium", "For several languages in good quality; 1.5 GB."),
    "large-v3": _systran("large-v3", "The best; wants a GPU; 3.1 GB."),
    "large-v3-turbo": Conversion(
        "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
        "openai/whisper-large-v3-turbo",
        "Nearly as good as large-v3, and several times faster; does not translate; 1.6 GB.",
        translates=False,
    ),
    "distil-small.en": _distil("Systran/faster-distil-whisper-small.en", "distil-small.en", "English; 332 MB."),
    "distil-medium.en": _distil("Systran/faster-distil-whisper-medium.en", "distil-medium.en", "English; 789 MB."),
    "distil-large-v3": _distil("Systran/faster-distil-whisper-large-v3", "distil-large-v3", "English; 1.5 GB."),
}
_ENGLISH: dict[str, Any] = {
    "language": COMMON["language"] | {"pattern": "^en(-[A-Za-z0-9-]+)?$", "description": "It hears English only."}
}


def conversions(further: str) -> dict[str, Conversion]:
    """Give every model's weights by its id: those of the settings first, named by the last part of their source."""
    own = dict(_further(further.split(",")))
    return own | {name: conversion for name, conversion in CONVERSIONS.items() if name not in own}


def _further(sources: Iterable[str]) -> Iterator[tuple[str, Conversion]]:
    for source in map(str.strip, sources):
        if source:
            name = source.rstrip("/").rpartition("/")[2]
            yield name, Conversion(source.rstrip("/"), about=f"From {source}.")


def as_model(name: str, conversion: Conversion) -> Model:
    """Describe a model."""
    options = COMMON | VAD
    if conversion.english:
        options = {key: rule for key, rule in options.items() if key != "detect_language"} | _ENGLISH
    if not conversion.translates:
        options = {key: rule for key, rule in options.items() if key != "translate"}
    return Model(
        id=name,
        capabilities=("speech-to-text",),
        inputs=(
            Slot(
                "audio",
                Role.SPEECH,
                audio=AudioFormat("wav", SAMPLE_RATE, 1),
                description="Speech; other media is cast to 16 kHz mono.",
            ),
        ),
        outputs=(Output("text", Role.TEXT, tuple(FORMS.values())),),
        options=options,
        canonical_id=conversion.canonical_id,
        name=f"Whisper {name}",
        description=conversion.about,
        replay_safe=True,
    )
