"""Characters that a server writes as two escapes in two events: halves are kept until they are whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from provider_servers.runtime.chat.compatible.wire import Chunk

if TYPE_CHECKING:
    from typing import Any

_FIRST, _LAST_HIGH = "\ud800", "\udbff"
REPLACEMENT = "\ufffd"


def decode_leniently(data: bytes) -> Chunk:
    """Decode an event whose texts may hold one half of a character.

    Raises:
        ValueError: it is no chat completion all the same.
    """
    try:
        value: Any = json.loads(data)
        return msgspec.convert(value, Chunk)
    except (RecursionError, msgspec.ValidationError) as error:
        raise ValueError(str(error)) from None


class HalfKeeper:
    """Takes tokens that may end in the first half of a character, and gives whole characters."""

    def __init__(self) -> None:
        self._half = ""

    def take(self, token: str) -> str:
        """Give what is whole, which may be nothing."""
        token = self._half + token
        self._half = ""
        if token and _FIRST <= token[-1] <= _LAST_HIGH:
            self._half, token = token[-1], token[:-1]
        return token.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def finish(self) -> str:
        """Say that nothing more comes: a half that is left is a character that nobody knows."""
        half, self._half = self._half, ""
        return REPLACEMENT if half else ""
