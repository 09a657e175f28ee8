"""Keeping secrets out of logs: by the name of a field, by the shape of a text, and by the values that are known."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, cast

HIDDEN = "[hidden]"

# The last word of a name decides for "key" and "token": "api_key" is a secret, "tokens" and "key_frames" are not.
_NAME = re.compile(
    r"secret|passw(or)?d|passphrase|authorization|credential|cookie|(^|[^a-z])(api|access)?_?(key|token)$",
    re.IGNORECASE,
)
_SHAPES = (
    re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"),
    re.compile(r"(?i)(?<=[?&])([\w-]*(?:key|token|secret|signature|password|sig)=)[^&\s\"']+"),
    re.compile(r"(?<=//)[^/\s:@]+:[^/\s@]+(?=@)"),
)
_SHORTEST = 8

_known: set[str] = set()


def is_secret_name(name: str) -> bool:
    """Tell whether what goes by that name must not be shown."""
    return _NAME.search(name.replace("-", "_")) is not None


def hide(value: str) -> None:
    """Never show this value again, wherever it turns up. Values under 8 characters are too common to be hidden."""
    if len(value) >= _SHORTEST:
        _known.add(value)


def hide_environment() -> None:
    """Hide the values of this process's environment variables that have the name of a secret."""
    for name, value in os.environ.items():
        if is_secret_name(name):
            hide(value)


def scrub(text: str) -> str:
    """Give a text without the secrets in it."""
    for value in _known:
        text = text.replace(value, HIDDEN)
    for shape in _SHAPES:
        text = shape.sub(HIDDEN, text)
    return text


def scrubbed(name: str, value: Any) -> Any:
    """Give the value of a field without secrets: hidden whole by its name, or its texts scrubbed."""
    if is_secret_name(name):
        return HIDDEN
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {str(key): scrubbed(str(key), below) for key, below in items}
    if isinstance(value, list | tuple):
        return [scrubbed(name, below) for below in cast("list[Any]", value)]
    return value
