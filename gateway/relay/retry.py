"""Whether a failed call is sent elsewhere.

| failure | sent elsewhere |
| --- | --- |
| nobody answered, refused, or GOAWAY above the last id: the call was not looked at | until every instance was tried |
| the connection was lost, or UNAVAILABLE | where twice does no harm: once, and out of the budget |
| any other status | only where the provider advises it: once, and out of the budget |

A call that names fallbacks may go once more for each of them, and not out of the budget: its caller has said where.
After the first data of an answer nothing is. A provider's advice ("same", "other", "never") decides where it gives one.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from automarket.errors import Retry
from gateway.relay.window import Window

if TYPE_CHECKING:
    from gateway.relay.choice import Route

MOST_ATTEMPTS: Final = 2


class Failure(Enum):
    """How a call failed."""

    CONNECT = "nobody answered"
    REFUSED = "the server refused the stream"
    GOAWAY = "the server had said that it takes no more"
    LOST = "the connection or the stream broke"
    BROKEN = "the server's answer is no gRPC"
    UNAVAILABLE = "the status says that the server is unavailable"
    OTHER = "any other status"

    @property
    def is_free(self) -> bool:
        """Tell whether the server has not looked at the call, so that sending it elsewhere costs nobody anything."""
        return self in _NOT_LOOKED_AT


_NOT_LOOKED_AT: Final = frozenset({Failure.CONNECT, Failure.REFUSED, Failure.GOAWAY})
_MAY_HAVE_RUN: Final = frozenset({Failure.LOST, Failure.UNAVAILABLE})
_STATUSES: Final = frozenset({Failure.UNAVAILABLE, Failure.OTHER})


def may_replay(
    failure: Failure,
    *,
    route: Route,
    has_request_id: bool,
    committed: bool,
    attempts: int,
    advice: str,
    fallbacks: int = 0,
) -> bool:
    """Tell whether a call may be sent elsewhere.

    Args:
        failure: how it failed.
        route: where it failed.
        has_request_id: the caller named the request, so that a vendor can tell a repetition from a new one.
        committed: the client has data of an answer.
        attempts: servers that had the call so far.
        advice: what the provider's status says about trying again, empty where it says nothing.
        fallbacks: how many the caller names.
    """
    if committed:
        return False
    if failure.is_free:
        return True
    if attempts >= MOST_ATTEMPTS + fallbacks:
        return False
    if failure in _STATUSES and advice in _ADVICE:
        return advice == Retry.OTHER  # "same" means after a while, which is the caller's to wait
    return failure in _MAY_HAVE_RUN and (route.replay_safe or (route.deduplicates and has_request_id))


_ADVICE: Final = frozenset(Retry)


class RetryBudget:
    """Bounds how many calls are sent elsewhere, so that trying again does not finish off a mesh that is in trouble.

    Args:
        ratio: part of the calls that may be.
        reserve: so many may be anyway, in each window.
        window: seconds that count.
    """

    def __init__(self, ratio: float = 0.1, reserve: int = 10, window: float = 10.0) -> None:
        self._ratio = ratio
        self._reserve = reserve
        self._window = Window(window)

    def deposit(self, now: float) -> None:
        """Note a call."""
        self._window.add(now, 1, 0)

    def take(self, now: float) -> bool:
        """Take leave to send one call elsewhere; tell whether there was any left."""
        calls, taken = self._window.totals(now)
        if taken >= self._reserve + self._ratio * calls:
            return False
        self._window.add(now, 0, 1)
        return True
