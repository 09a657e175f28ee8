"""Text as the voices of flite can read it."""

from __future__ import annotations

import re
import unicodedata

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


def to_ascii(text: str) -> str:
    """Give `text` as an English voice can read it: no accents, signs spelt, and nothing outside ASCII."""
    plain = unicodedata.normalize("NFKD", text.translate(_PLAIN)).encode("ascii", "ignore").decode("ascii")
    return _LONE_COMMA.sub(", ", plain)
