"""What the lineage of an output remembers of the call that made it, beside who made it from what."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from automarket.secrets import scrubbed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automarket.v1 import transform_pb2

MAX_OPTIONS_BYTES = 8 * 1024
MAX_TEXT = 500  # characters of one option
_MAX_EXACT = 2**53


class Cost:
    """What a call has cost so far; unknown once a part of it is, or currencies are mixed."""

    def __init__(self) -> None:
        self.total: float | None = None
        self.currency = ""
        self._is_known = True

    def add(self, usage: transform_pb2.Usage) -> None:
        """Take what was used."""
        fits = usage.HasField("cost") and self.currency in ("", usage.currency)
        self._is_known = self._is_known and fits
        self.total = (self.total or 0.0) + usage.cost if self._is_known else None
        self.currency = usage.currency if self._is_known else ""


def shown_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Give options as an asset's lineage keeps them: no secrets, texts cut, the largest left out above 8 KiB."""
    shown = {name: _short(scrubbed(name, value)) for name, value in options.items()}
    sizes = {name: len(json.dumps({name: value}).encode()) for name, value in shown.items()}
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        if sum(sizes.values()) <= MAX_OPTIONS_BYTES:
            break
        del shown[name], sizes[name]
    return shown


def _short(value: Any) -> Any:
    """Give a value as JSON keeps it: an integer above 2^53 as text, a long text cut."""
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else value[: MAX_TEXT - 1] + "\N{HORIZONTAL ELLIPSIS}"
    if isinstance(value, dict):
        return {str(key): _short(part) for key, part in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - JSON
    if isinstance(value, list | tuple):
        return [_short(part) for part in value]  # pyright: ignore[reportUnknownVariableType] - JSON
    exact = (isinstance(value, int) and abs(value) <= _MAX_EXACT) or (isinstance(value, float) and math.isfinite(value))
    return value if exact or value is None else str(value)
