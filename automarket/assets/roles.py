"""What an asset can play in a transform."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from automarket.errors import InputUnsuitable

if TYPE_CHECKING:
    from collections.abc import Iterable


class Role(StrEnum):
    """A role; `number` is its value in `automarket.v1.Role`."""

    TEXT = "text"
    AUDIO = "audio"
    SPEECH = "speech"
    IMAGE = "image"
    VIDEO = "video"

    @property
    def number(self) -> int:
        """The enum value of the contract."""
        return _ORDER.index(self) + 1

    @classmethod
    def from_number(cls, number: int) -> Role | None:
        """Give the role of an enum value; None for unspecified and unknown ones."""
        return _ORDER[number - 1] if 1 <= number <= len(_ORDER) else None


_ORDER = (Role.TEXT, Role.AUDIO, Role.SPEECH, Role.IMAGE, Role.VIDEO)

_CASTS: dict[Role, frozenset[Role]] = {
    Role.TEXT: frozenset({Role.TEXT}),
    Role.AUDIO: frozenset({Role.AUDIO, Role.SPEECH}),
    Role.SPEECH: frozenset({Role.AUDIO, Role.SPEECH}),
    Role.IMAGE: frozenset({Role.IMAGE}),
    Role.VIDEO: frozenset({Role.VIDEO, Role.AUDIO, Role.SPEECH, Role.IMAGE}),
}


def reachable(role: Role) -> frozenset[Role]:
    """Give the roles that an asset of this role can play, casts included; a video may turn out to have no sound."""
    return _CASTS[role]


def unsuitable(plays: Iterable[Role], needed: Role, *, what: str = "the input") -> InputUnsuitable:
    """Give the error that says what an asset plays and what was needed."""
    played = " and ".join(sorted(plays)) or "no role"
    return InputUnsuitable(f"{what} plays {played}; {needed} was needed", hint=_ADVICE.get(needed))


_ADVICE = {
    Role.TEXT: "a speech-to-text model makes text of speech",
    Role.SPEECH: "give sound, or a video with a sound track; a text-to-speech model makes speech of text",
    Role.AUDIO: "give sound, or a video with a sound track",
}
