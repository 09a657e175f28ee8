"""How long a vendor asks to wait, as its headers say it."""

from __future__ import annotations

import contextlib
import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_SECONDS = 86_400.0
_NUMBER = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*")
_EPOCH_SECONDS, _EPOCH_MILLISECONDS = 1e9, 1e11


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Give the seconds that an answer's headers ask to wait, or None.

    The first that is there counts: retry-after-ms, retry-after (seconds or a date), x-ratelimit-reset (seconds, or a
    moment in seconds or milliseconds of the epoch).
    """
    if (milliseconds := _number(headers.get("retry-after-ms", ""))) is not None:
        return _bounded(milliseconds / 1000)
    given = headers.get("retry-after", "")
    if (seconds := _number(given)) is not None:
        return _bounded(seconds)
    if given:
        with contextlib.suppress(ValueError):
            return _bounded(parsedate_to_datetime(given).timestamp() - time.time())
    if (reset := _number(headers.get("x-ratelimit-reset", ""))) is not None:
        if reset > _EPOCH_SECONDS:
            reset = (reset / 1000 if reset > _EPOCH_MILLISECONDS else reset) - time.time()
        return _bounded(reset)
    return None


def says_retry(headers: Mapping[str, str]) -> bool | None:
    """Tell what x-should-retry says; None where it is not there."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower())


def _number(text: str) -> float | None:
    found = _NUMBER.fullmatch(text)
    return float(found[1]) if found else None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_SECONDS)
