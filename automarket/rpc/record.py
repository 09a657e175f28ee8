"""What is kept of one call while a server works on it, for the access log and the metrics."""

from __future__ import annotations

import logging
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self

from opentelemetry import trace

from automarket.errors import Code
from automarket.rpc import metrics

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("automarket.rpc")

_QUIET = ("/grpc.health.", "/grpc.reflection.")

_current: ContextVar[CallRecord | None] = ContextVar("automarket_call", default=None)


class CallRecord:
    """One call: its method, its bytes, how it ended. As a context manager it counts the call, then logs it.

    Args:
        method: the path of the call, "/package.Service/Method".
        known: whether the server has that method. The metrics must not grow with whatever callers make up.
    """

    def __init__(self, method: str, *, known: bool = True) -> None:
        self.method = method
        self.bytes_in = 0
        self.bytes_out = 0
        self.facts: dict[str, str] = {}
        self._code = Code.OK
        self._reason = ""
        self._begin = time.monotonic()
        self._label = {"method": method if known else "unknown"}

    def __enter__(self) -> Self:
        """Begin to count."""
        _current.set(self)
        metrics.active_calls.add(1, self._label)
        return self

    def __exit__(self, *_: object) -> None:
        """Write down how the call went."""
        metrics.active_calls.add(-1, self._label)
        seconds = time.monotonic() - self._begin
        facts = {**self.facts, "code": self._code.name}
        metrics.calls.add(self._label["method"], facts, (seconds,), bytes_in=self.bytes_in, bytes_out=self.bytes_out)
        if not self.method.startswith(_QUIET):
            log.info("call", extra=self._line(seconds))

    def _line(self, seconds: float) -> dict[str, Any]:
        line: dict[str, Any] = {"method": self.method, "code": self._code.name, "ms": round(seconds * 1000, 1)}
        line |= {"bytes_in": self.bytes_in, "bytes_out": self.bytes_out, **self.facts}
        return line | ({"reason": self._reason} if self._reason else {})

    def ended(self, code: Code, reason: str = "") -> None:
        """Say how the call ended."""
        self._code, self._reason = code, reason

    def counting_in(self, deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
        """Wrap what parses a request so that its bytes are counted; None passes them on as they are."""

        def counted(data: bytes) -> Any:
            self.bytes_in += len(data)
            return deserialize(data) if deserialize else data

        return counted

    def counting_out(self, serialize: Callable[[Any], bytes] | None) -> Callable[[Any], bytes]:
        """Wrap what serialises an answer so that its bytes are counted; None passes them on as they are."""

        def counted(message: Any) -> bytes:
            data: bytes = serialize(message) if serialize else message
            self.bytes_out += len(data)
            return data

        return counted


def annotate(**facts: str) -> None:
    """Say something about the call that this task serves, such as provider="flite".

    It goes into the call's span, its line in the log and its metrics: give only what takes few different values.
    """
    trace.get_current_span().set_attributes(facts)
    record = _current.get()
    if record is not None:
        record.facts |= facts
