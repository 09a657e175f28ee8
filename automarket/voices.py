"""Voices that a provider can speak with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from automarket.v1 import media_provider_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice that a provider can speak with.

    Attributes:
        id: what the option `voice` of text-to-speech takes.
        name: name for people.
        description: what it is like.
        languages: BCP 47 tags of what it speaks; empty when the provider does not say.
        cloned: it was made from samples, and can be removed.
        labels: the provider's own words about it: "accent", "age", "gender".
        preview_url: where to hear it; empty when the provider has no sample of it.
    """

    id: str
    name: str = ""
    description: str = ""
    languages: tuple[str, ...] = ()
    cloned: bool = False
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    preview_url: str = ""

    def fits(self, text: str) -> bool:
        """Tell whether id, name, description or labels contain each of some words, upper or lower case."""
        said = " ".join((self.id, self.name, self.description, *self.labels.values())).casefold()
        return all(word in said for word in text.casefold().split())


def to_proto(voice: Voice) -> pb.Voice:
    """Give a voice as the contract's message."""
    return pb.Voice(
        id=voice.id,
        name=voice.name or voice.id,
        description=voice.description,
        languages=voice.languages,
        cloned=voice.cloned,
        labels=voice.labels,
        preview_url=voice.preview_url,
    )


def from_proto(message: pb.Voice) -> Voice:
    """Give the voice that a message of the contract is."""
    return Voice(
        message.id,
        message.name,
        message.description,
        tuple(message.languages),
        message.cloned,
        dict(message.labels),
        message.preview_url,
    )
