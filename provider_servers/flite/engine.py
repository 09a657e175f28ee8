"""What the provider asks of a speech engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from automarket.errors import OptionInvalid

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Manner:
    """How to speak: one of the engine's voices, one of its languages, and the speed (1 is the voice's own)."""

    voice: str
    language: str
    speed: float


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What a speech engine is.

    Attributes:
        id: the model's id.
        name: the model's name for people.
        description: what it is good for.
        sample_rate: of the sound that it makes, in Hz.
        voices: the voices that it has, the default one first.
        languages: the languages that it speaks, as lower-case BCP 47 tags, the default one first.
        speeds: slowest and fastest speed.
    """

    id: str
    name: str
    description: str
    sample_rate: int
    voices: tuple[str, ...]
    languages: tuple[str, ...]
    speeds: tuple[float, float]


class SpeechEngine(Protocol):
    """Speaks text in a child process."""

    @property
    def facts(self) -> EngineFacts:
        """What it is."""
        ...

    def pieces(self, text: str) -> list[str]:
        """Give what can be spoken of `text`, sentence by sentence."""
        ...

    def speak(self, pieces: Sequence[str], manner: Manner, folder: Path) -> AsyncGenerator[bytes]:
        """Give the sound of the pieces as it is made: 16-bit little-endian mono samples.

        `folder` is for scratch files. Raises BackendFailed when the engine breaks.
        """
        ...


def match_language(wanted: str, offered: Sequence[str]) -> str:
    """Give the offered language that fits best: the tag itself, else without its last parts ("en-AU": "en").

    Raises:
        OptionInvalid: none fits.
    """
    parts = wanted.lower().replace("_", "-").split("-")
    for length in range(len(parts), 0, -1):
        tag = "-".join(parts[:length])
        if tag in offered:
            return tag
    shown = ", ".join(offered[:20]) + (" and more" if len(offered) > 20 else "")
    raise OptionInvalid(
        f"option language: the voices do not speak {wanted!r}",
        hint=f"they speak: {shown}",
        fields={"header.text_to_speech.language": f"{wanted!r} is not spoken"},
    )
