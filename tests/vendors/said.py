"""What the stand-ins say, the same at every vendor."""

from __future__ import annotations

import json

TOKENS = ("The", " harbour", " of", " Kiel", ":", " na", "ïve", " 🚢", " ships", "\n", "and", " 灯台", ".")
TEXT = "".join(TOKENS)
THOUGHTS = ("They", " ask", " of", " a", " harbour")
ARGUMENTS = json.dumps({"city": "Kiel", "days": list(range(40)), "note": "Grüße 🚢"}, ensure_ascii=False)
TOOL = "get_weather"
CALL_ID = "call_1"
PROMPT_TOKENS, COMPLETION_TOKENS, CACHED_TOKENS, REASONING_TOKENS = 17, 13, 4, 5
KEY = "sk-planted-0123456789abcdef"
"""The key that the stand-ins take. Nothing may ever show it."""


def pieces(text: str, count: int) -> list[str]:
    """Cut a text into so many pieces."""
    step = max(1, len(text) // count)
    cut = [text[begin : begin + step] for begin in range(0, step * (count - 1), step)]
    return [*cut, text[step * (count - 1) :]]
