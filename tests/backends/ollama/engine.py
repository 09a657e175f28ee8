"""A Markov chain: what stands in for a language model. It writes word after word as they follow each other in a text
about a harbour, and understands nothing. Equal seeds and prompts give equal texts.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = """
The harbour wakes before the town does. A boat comes in with the tide, and the gulls follow the boat. The old pilot says
that the tide is never late; it is the town that is early. In the café at the quay the first coffee costs a crème brûlée
less than the second, which nobody has ever understood. The boat brings herring, letters and a piano. The piano is for
the school, and the school is for everybody. When the tide goes out, the boats lie on the sand like sleeping dogs, and
the children walk between the boats and look for crabs. The pilot walks with the children and tells them how the wind
turned in the year of the great storm 🌊, how the lighthouse went dark, and how the town held lamps out of every window
until the last boat had come in. The wind is a good servant, says the pilot, and the tide is a good clock. Naïve people
say that the sea is empty. The sea is full of roads, and every road comes to a harbour in the end. In the evening the
piano plays in the school, the gulls go to sleep on the roof of the café, and the lighthouse counts the hours: one
light, one dark, one light, one dark. The town sleeps before the harbour does. The tide comes in again, and the boat
goes out with the tide.
"""
TOKEN = re.compile(r"\s*\S+")
LIMIT = 400
_WORDS = TEXT.split()


def _chain() -> dict[str, list[str]]:
    following: dict[str, list[str]] = {}
    for one, other in zip(_WORDS, (*_WORDS[1:], _WORDS[0]), strict=True):
        following.setdefault(one, []).append(other)
    return following


_FOLLOWING = _chain()
_BEGINNINGS = sorted({word for word in _WORDS if word[0].isupper()})


@dataclass(frozen=True, slots=True)
class Manner:
    """How to write, by Ollama's names; None is not said."""

    num_predict: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(slots=True)
class Piece:
    """A token, and why the text ends here if it does."""

    text: str
    done_reason: str = ""


def count(text: str) -> int:
    """Count the tokens of a text."""
    return len(TOKEN.findall(text))


def write(prompt: str, manner: Manner) -> Iterator[Piece]:
    """Give the tokens of an answer; the last one says why it ends."""
    key = hashlib.sha256(f"{manner.seed}/{prompt}".encode()).digest()
    chance = random.Random(key)
    word = chance.choice(_BEGINNINGS)
    wanted = chance.randint(20, 60)
    most = LIMIT if manner.num_predict in (None, -1) else manner.num_predict
    said = ""
    for number in range(1, LIMIT + 1):
        token = word if number == 1 else f" {word}"
        cut = min((place for stop in manner.stop if (place := (said + token).find(stop)) >= 0), default=None)
        if cut is not None:
            yield Piece((said + token)[len(said) : cut] if cut > len(said) else "", "stop")
            return
        said += token
        ends = number >= wanted and word.endswith(".")
        if ends or number >= most:
            yield Piece(token, "stop" if ends else "length")
            return
        yield Piece(token)
        word = _next(word, manner, chance)


def write_json(wanted: Any) -> Iterator[Piece]:
    """Give the tokens of JSON: an object of any kind, or one with the members of a JSON Schema, in its order."""
    members = wanted.get("properties") or {} if isinstance(wanted, dict) else {"harbour": {}}
    values = {name: 7 if rule.get("type") == "integer" else "a boat" for name, rule in members.items()}
    pieces = TOKEN.findall(json.dumps(values))
    for number, piece in enumerate(pieces, 1):
        yield Piece(piece, "stop" if number == len(pieces) else "")


def _next(word: str, manner: Manner, chance: random.Random) -> str:
    following = _FOLLOWING[word]
    likely = sorted(set(following), key=lambda one: (-following.count(one), one))[: manner.top_k or None]
    if manner.temperature == 0:
        return likely[0]
    return chance.choice([one for one in following if one in likely])
