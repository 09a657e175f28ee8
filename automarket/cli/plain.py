"""Values as JSON, and as words for people."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from automarket.client.job_info import CostEstimate

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def to_plain(value: Any) -> Any:
    """Give a value as what JSON has: dataclasses become objects, enums their values, sets sorted lists."""
    match value:
        case enum.Enum():
            plain = value.value
        case None | bool() | int() | float() | str():
            plain = value
        case dt.datetime():
            plain = value.isoformat()
        case Path():
            plain = str(value)
        case Mapping():
            plain = {str(key): to_plain(part) for key, part in cast("Mapping[Any, Any]", value).items()}
        case set() | frozenset():
            plain = sorted(map(to_plain, cast("set[Any]", value)))
        case list() | tuple():
            plain = [to_plain(part) for part in cast("list[Any]", value)]
        case _:
            plain = {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return plain


def to_json(value: Any) -> str:
    """Give a value as JSON text."""
    return json.dumps(to_plain(value), indent=2, ensure_ascii=False)


def clean(text: str) -> str:
    """Give text that cannot steer the terminal: what servers and files say may hold anything."""
    return _CONTROL.sub("", text)


def size(count: int) -> str:
    """Give a number of bytes in words: "3.1 MB"."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def passed(sent: int, by_file: int) -> str:
    """Say which way bytes went to the store: sent, by file or not at all."""
    if by_file:
        return f"{size(by_file)} handed over by file"
    return f"{size(sent)} sent" if sent else "nothing sent, the mesh had it"


def seconds(amount: float) -> str:
    """Give a time in words: "0.13 s", "12.4 s", "2 min 5 s"."""
    if amount < 60:
        return f"{amount:.2f} s" if amount < 10 else f"{amount:.1f} s"
    minutes, rest = divmod(round(amount), 60)
    return f"{minutes} min {rest} s"


def clock(moment: float) -> str:
    """Give a moment in media: "0:04.5"."""
    minutes, rest = divmod(moment, 60)
    return f"{int(minutes)}:{rest:04.1f}"


def short_digest(digest: str) -> str:
    """Give the beginning of a digest, enough to name an asset."""
    return digest[: len("sha256:") + 12]


def price(estimate: CostEstimate) -> str:
    """Say what a call is expected to cost."""
    if estimate.cost is None:
        return "unknown"
    least = "at least " if estimate.at_least else ""
    return f"{least}{estimate.cost:g} {estimate.currency}"
