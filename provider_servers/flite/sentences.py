"""Cutting text into pieces that are spoken one after the other."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_PIECE = 300
"""Characters: about 20 s of speech, so that one piece is made in well under a second."""

_PARAGRAPH = re.compile(r"\n\s*\n")
_ENDING = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+")  # noqa: RUF001 - full stops of Chinese and Japanese
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|[ap]\.m|e\.g|i\.e|mr|mrs|ms|dr|prof|st|vs|no|etc|approx|fig|jr|sr|inc|ltd|co)\.$",
    re.IGNORECASE,
)
_PAUSE = re.compile(r"[,;:–—]\s|\s[–—-]\s")  # noqa: RUF001 - dashes are pauses
_LONE_COMMA = re.compile(r"[ \t]+,[ \t]*")
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("‘’‚′", "'"),  # noqa: RUF001
        **dict.fromkeys("“”„″«»", '"'),
        **dict.fromkeys("–—―", ", "),  # noqa: RUF001
        "…": "...",
        "€": " euros ",
        "£": " pounds ",
        "°": " degrees ",
        "×": " times ",  # noqa: RUF001
        "ß": "ss",
        "æ": "ae",
        "ø": "o",
        "œ": "oe",
    }
)


def split(text: str) -> list[str]:
    """Give the sentences of `text` in order, each with single spaces and at most LONGEST_PIECE characters.

    Abbreviations and initials do not end a sentence; an empty line does. A sentence that is too long is cut at a pause,
    else between words, else where it must. What has neither letter nor digit is left out.
    """
    paragraphs = (" ".join(paragraph.split()) for paragraph in _PARAGRAPH.split(text))
    sentences = (sentence for paragraph in paragraphs for sentence in _sentences(paragraph))
    pieces = (piece for sentence in sentences for piece in _short(sentence))
    return [piece for piece in pieces if any(character.isalnum() for character in piece)]


def to_ascii(text: str) -> str:
    """Give `text` as an English voice can read it: no accents, signs spelt, and nothing outside ASCII."""
    plain = unicodedata.normalize("NFKD", text.translate(_PLAIN)).encode("ascii", "ignore").decode("ascii")
    return _LONE_COMMA.sub(", ", plain)


def _sentences(paragraph: str) -> Iterator[str]:
    begin = 0
    for ending in _ENDING.finditer(paragraph):
        sentence = paragraph[begin : ending.end()]
        goes_on = paragraph[ending.end() :].lstrip()[:1].islower()
        if goes_on or _ABBREVIATION.search(sentence):
            continue
        yield sentence.strip()
        begin = ending.end()
    yield paragraph[begin:].strip()


def _short(sentence: str) -> Iterator[str]:
    while len(sentence) > LONGEST_PIECE:
        head = sentence[:LONGEST_PIECE]
        pauses = [match.end() for match in _PAUSE.finditer(head)]
        cut = pauses[-1] if pauses else head.rfind(" ") + 1 or LONGEST_PIECE
        yield sentence[:cut].strip()
        sentence = sentence[cut:].strip()
    yield sentence
