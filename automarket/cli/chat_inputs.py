"""Files and words on a command line as parts of a message to a language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from automarket.assets import AssetLoader, Text
from automarket.assets.roles import Role
from automarket.chat.messages import MediaKind, MediaPart, TextPart
from automarket.cli.inputs import DIGEST_PREFIX, as_path, find_asset
from automarket.errors import InputUnsuitable
from automarket.sync import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automarket.sync import Mesh


@dataclass(frozen=True, slots=True)
class Given:
    """What a command line gives: parts of a message, and whether there is a question among them."""

    parts: tuple[TextPart | MediaPart, ...]
    asks: bool


def read_given(words: Sequence[str], mesh: Mesh) -> Given:
    """Give what words stand for: text, files of text as text, pictures, sound, stored assets and other files.

    Raises:
        AutoMarketError: there is no such file or asset.
    """
    parts: list[TextPart | MediaPart] = []
    asks = False
    for word in words:
        part = _of_asset(word, mesh)
        asks = asks or part is None
        parts.append(part or TextPart(word))
    return Given(tuple(parts), asks)


def _of_asset(word: str, mesh: Mesh) -> TextPart | MediaPart | None:
    """Give the part that a file or a stored asset becomes; None for a word that is neither."""
    if word.startswith(DIGEST_PREFIX):
        stored = run(find_asset(mesh.original.assets, word))
        return MediaPart(_kind(stored.roles), stored)
    path = as_path(word)
    if path is None:
        return None
    try:
        asset = AssetLoader.load(path)
    except InputUnsuitable:  # nothing that is known here: the model reads it, or refuses it by its type
        return MediaPart("file", path)
    if isinstance(asset, Text):
        return TextPart(f"{path.name}:\n{asset.content}\n")
    return MediaPart(_kind(asset.roles), path)


def _kind(roles: frozenset[Role]) -> MediaKind:
    if Role.AUDIO in roles or Role.SPEECH in roles:
        return "audio"
    return "image" if roles & {Role.IMAGE, Role.VIDEO} else "file"
