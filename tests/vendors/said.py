"""What the stand-ins say, the same at every vendor."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TOKENS = ("The", " harbour", " of", " Kiel", ":", " na", "ïve", " 🚢", " ships", "\n", "and", " 灯台", ".")
TEXT = "".join(TOKENS)
STORY = tuple(
    " ".join(
        [
            "Good morning to you too. The harbour is open all day long.",
            "The first boat comes with the tide at eight o'clock. The last one leaves when the evening is over.",
            "Come and see us whenever you like to. We shall be glad to show you the ships and the town.",
        ]
    )
    .replace(" ", "\0 ")
    .split("\0")
)
THOUGHTS = ("They", " ask", " of", " a", " harbour")
ARGUMENTS = json.dumps({"city": "Kiel", "days": list(range(40)), "note": "Grüße 🚢"}, ensure_ascii=False)
TOOL = "get_weather"
CALL_ID = "call_1"
PROMPT_TOKENS, COMPLETION_TOKENS, CACHED_TOKENS, REASONING_TOKENS = 17, 13, 4, 5
KEY = "sk-planted-0123456789abcdef"
"""The key that the stand-ins take. Nothing may ever show it."""
JSON_TOKENS = ('{"city":', ' "Kiel"', ', "days"', ": 3", "}")
"""What is said where JSON is wanted."""


def heeding(tokens: Sequence[str], stop: Sequence[str] = (), most: int | None = None) -> tuple[list[str], str]:
    """Give the tokens up to the first text that ends an answer, or so many, and why it ends: "stop" or "length"."""
    said = "".join(tokens)
    end = min((place for one in stop if (place := said.find(one)) >= 0), default=len(said))
    kept: list[str] = []
    for token in tokens:
        if len(kept) == most:
            return kept, "length"
        left = end - len("".join(kept))
        if left <= 0:
            break
        kept.append(token[:left])
    return kept, "stop"


def pieces(text: str, count: int) -> list[str]:
    """Cut a text into so many pieces."""
    step = max(1, len(text) // count)
    cut = [text[begin : begin + step] for begin in range(0, step * (count - 1), step)]
    return [*cut, text[step * (count - 1) :]]
