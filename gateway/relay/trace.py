"""The relay's own span in a call's trace (W3C Trace Context)."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Final

from gateway.relay.headers import literal

_TRACEPARENT: Final = re.compile(rb"([0-9a-e][0-9a-f]|f[0-9a-e])-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED: Final = 1


@dataclass(slots=True)
class Span:
    """Ids in lower-case hex; `parent` is empty where the relay begins the trace."""

    trace: str
    span: str
    parent: str
    is_sampled: bool

    def field(self) -> bytes:
        """Give the header field that continues the trace behind the relay."""
        flags = "01" if self.is_sampled else "00"
        return literal(b"traceparent", f"00-{self.trace}-{self.span}-{flags}".encode())


def span_of(traceparent: bytes) -> Span:
    """Begin the relay's span below a caller's, or a new trace where the caller named none."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    own = f"{random.getrandbits(64) or 1:016x}"
    if found is None or found[2] == b"0" * 32 or found[3] == b"0" * 16:
        return Span(f"{random.getrandbits(128) or 1:032x}", own, "", is_sampled=True)
    return Span(found[2].decode(), own, found[3].decode(), is_sampled=bool(int(found[4], 16) & _SAMPLED))
