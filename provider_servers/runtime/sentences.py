"""Cutting text into pieces that a speech engine speaks one after the other."""

from __future__ import annotations

import re
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


def split(text: str, longest: int = LONGEST_PIECE) -> list[str]:
    """Give the sentences of `text` in order, each with single spaces and at most `longest` characters.

    Abbreviations and initials do not end a sentence; an empty line does. A sentence that is too long is cut at a pause,
    else between words, else where it must. What has neither letter nor digit is left out.
    """
    paragraphs = (" ".join(paragraph.split()) for paragraph in _PARAGRAPH.split(text))
    sentences = (sentence for paragraph in paragraphs for sentence in _sentences(paragraph))
    pieces = (piece for sentence in sentences for piece in _short(sentence, longest))
    return [piece for piece in pieces if any(character.isalnum() for character in piece)]


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


def _short(sentence: str, longest: int) -> Iterator[str]:
    while len(sentence) > longest:
        head = sentence[:longest]
        pauses = [match.end() for match in _PAUSE.finditer(head)]
        cut = pauses[-1] if pauses else head.rfind(" ") + 1 or longest
        yield sentence[:cut].strip()
        sentence = sentence[cut:].strip()
    yield sentence
