"""When a vendor is not asked: it has failed again and again, or has said how long it wants to be left alone.

A circuit opens after so many failures in a row, for a time that doubles whenever it opens again; then one call tries
the vendor, and its first answer closes the circuit. What cannot be reached at all is one circuit for all models; what a
vendor answers is one for the model that was asked, since behind some vendors each model has a server of its own. An
answer that refuses the call, such as a limit, a key or an option, is the vendor at work and opens nothing.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError, BackendFailed, RateLimited, VendorFailing, VendorOverloaded

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from provider_servers.runtime.vendors.vendor import Vendor

LONGEST_OPEN_SECONDS, LONGEST_REST_SECONDS = 60.0, 600.0
PROBE_SECONDS = 1.0
EVERY_MODEL = ""
_FAILURES = (BackendFailed, VendorOverloaded)
_CLIENT_ERRORS = range(400, 500)


class Circuit:
    """One circuit, of a model or of a whole vendor.

    Attributes:
        failures: in a row.
        because: what the last one said.
        until: when it may be asked again, in monotonic seconds; 0 while it is closed.
        seconds: for how long it was opened last.
        is_tried: a call is finding out whether it is well again.
        rest: what it refused last and asked to wait for, and until when.
    """

    __slots__ = ("because", "failures", "is_tried", "rest", "seconds", "until")

    def __init__(self) -> None:
        self.failures = 0
        self.because = ""
        self.until = 0.0
        self.seconds = 0.0
        self.is_tried = False
        self.rest: tuple[AutoMarketError, float] | None = None

    def close(self) -> None:
        """Note that it is well."""
        self.failures = 0
        self.until = self.seconds = 0.0
        self.is_tried = False


class Circuits:
    """All circuits of a vendor.

    Args:
        vendor: who it is.
        failures: so many in a row open a circuit; 0 opens none.
        seconds: for how long, the first time.
        changed: called with the error that calls get when the vendor's own circuit opens, with None when it closes.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        vendor: Vendor,
        *,
        failures: int,
        seconds: float,
        changed: Callable[[AutoMarketError | None], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vendor = vendor
        self._failures = failures
        self._seconds = seconds
        self._changed = changed
        self._clock = clock
        self._known: dict[str, Circuit] = {}

    @contextmanager
    def trial(self, model: str) -> Generator[Callable[[], None]]:
        """Ask the vendor within a block, and take what becomes of it; call what is given when it begins to answer.

        Raises:
            VendorFailing: its circuit is open.
            RateLimited, VendorOverloaded: it has said how long it is not to be asked, and that is not over.
        """
        circuits = {name: self._known[name] for name in (EVERY_MODEL, model) if name in self._known}
        now = self._clock()
        for circuit in circuits.values():
            self._check(circuit, model, now)
        tried = {name: circuit for name, circuit in circuits.items() if circuit.until}
        for circuit in tried.values():
            circuit.is_tried = True
        try:
            yield lambda: self._answered(tried)
        except AutoMarketError as error:
            self._ended(model, error)
            raise
        else:
            self._well(model)
        finally:
            for circuit in tried.values():
                circuit.is_tried = False

    def told(self) -> str:
        """Say which circuits are open or tried, for people; empty when none is."""
        now = self._clock()
        open_ones = [(name, one) for name, one in self._known.items() if one.until]
        return "; ".join(
            f"{name or 'every model'} is {_left(one.until - now)} after {one.failures} failures"
            for name, one in open_ones[:3]
        )

    def fault(self) -> VendorFailing | None:
        """Give the error that every call gets now; None while the vendor's own circuit is not open."""
        circuit = self._known.get(EVERY_MODEL)
        now = self._clock()
        return self._failing(circuit, EVERY_MODEL, now) if circuit is not None and circuit.until > now else None

    def _check(self, circuit: Circuit, model: str, now: float) -> None:
        if circuit.until > now or (circuit.until and circuit.is_tried):
            raise self._failing(circuit, model, now)
        if circuit.rest is None:
            return
        refused, until = circuit.rest
        if until > now:
            facts = {**refused.metadata, "asked": "no"}
            raise type(refused)(refused.message, hint=refused.hint, retry_after=until - now, metadata=facts)
        circuit.rest = None

    def _failing(self, circuit: Circuit, model: str, now: float) -> VendorFailing:
        state = "half-open" if circuit.until <= now else "open"
        facts = {"provider": self._vendor.id, "model": model, "circuit": state, "failures": str(circuit.failures)}
        return VendorFailing(
            f"{self._vendor.name} is not asked for now: it failed {circuit.failures} times in a row, "
            f"the last time with: {circuit.because}",
            hint="try again later, or name another model as a fallback",
            retry_after=max(circuit.until - now, PROBE_SECONDS if state == "half-open" else 0.0),
            metadata=facts,
        )

    def _ended(self, model: str, error: AutoMarketError) -> None:
        """Take the error that a call ended with. One that no vendor has answered says nothing of it."""
        code = error.metadata.get("upstream_code", "")
        if isinstance(error, _FAILURES) and not (code.isdecimal() and int(code) in _CLIENT_ERRORS):
            self._failed(model if code else EVERY_MODEL, error)
        elif code:
            self._well(model)
        if isinstance(error, RateLimited | VendorOverloaded) and error.metadata.get("wait") == "asked":
            until = self._clock() + min(error.retry_after or 0.0, LONGEST_REST_SECONDS)
            self._known.setdefault(model, Circuit()).rest = (error, until)

    def _failed(self, name: str, error: AutoMarketError) -> None:
        if not self._failures:
            return
        circuit = self._known.setdefault(name, Circuit())
        circuit.failures += 1
        circuit.because = error.message
        if circuit.failures < self._failures or (circuit.until > self._clock()):
            return  # not yet, or one of those that had begun before it opened
        circuit.seconds = min(LONGEST_OPEN_SECONDS, circuit.seconds * 2 or self._seconds)
        circuit.until = self._clock() + circuit.seconds
        if name == EVERY_MODEL:
            self._changed(self.fault())

    def _answered(self, tried: Mapping[str, Circuit]) -> None:
        """Close the circuits that a call was to try."""
        for name, circuit in tried.items():
            if circuit.until:
                circuit.close()
                if name == EVERY_MODEL:
                    self._changed(None)

    def _well(self, model: str) -> None:
        """Note that the vendor has answered a call as it should."""
        if (whole := self._known.pop(EVERY_MODEL, None)) is not None and whole.until:
            self._changed(None)
        circuit = self._known.get(model)
        if circuit is not None:
            circuit.close()
            if circuit.rest is None:
                del self._known[model]


def _left(seconds: float) -> str:
    return f"not asked for {seconds:.0f} s" if seconds > 0 else "tried with the next call"
