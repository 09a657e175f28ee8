"""The waiting lines: calls for which no instance has a place wait here, with nothing read from their clients.

They are for servers that have no line of their own. Those of this mesh have one, and tell who waits how many are ahead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from automarket.errors import ProviderBusy

if TYPE_CHECKING:
    from collections.abc import Callable

RETRY_SECONDS: Final = 1.0
# A place may be of no use to a call that insists on another instance. Only so many such calls are passed over.
_MOST_PASSED_OVER: Final = 4


class Ticket:
    """A place in the line of one provider. It is not offered anything while it is being woken."""

    __slots__ = ("is_awake", "provider_id", "wake")

    def __init__(self, provider_id: str, wake: Callable[[], None]) -> None:
        self.provider_id = provider_id
        self.wake = wake
        self.is_awake = False


class Lines:
    """One line for each provider, first come first served.

    Args:
        max_waiting: calls that may wait in each.
    """

    def __init__(self, max_waiting: int = 64) -> None:
        self._max_waiting = max_waiting
        self._lines: dict[str, dict[Ticket, None]] = {}
        self._offered: Ticket | None = None

    def join(self, provider_id: str, wake: Callable[[], None]) -> Ticket:
        """Wait for a place.

        A call that is woken and finds no place joins again at once; it keeps its turn then.

        Args:
            provider_id: the provider.
            wake: called when there may be a place, at most once.

        Raises:
            ProviderBusy: too many wait already.
        """
        ticket = self._offered
        if ticket is not None and ticket.provider_id == provider_id:
            self._offered = None
            ticket.wake = wake
            return ticket
        line = self._lines.setdefault(provider_id, {})
        if len(line) >= self._max_waiting:
            raise ProviderBusy(
                f"all places of provider {provider_id} are taken, and {len(line)} calls wait",
                hint="try again later, or let the mesh choose the provider",
                retry_after=RETRY_SECONDS,
                metadata={"provider": provider_id},
            )
        ticket = Ticket(provider_id, wake)
        line[ticket] = None
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give up waiting. Harmless for a call that waits no more."""
        line = self._lines.get(ticket.provider_id, {})
        line.pop(ticket, None)
        if not line:
            self._lines.pop(ticket.provider_id, None)

    def freed(self, provider_id: str) -> None:
        """Wake who is first, and go on until somebody finds no place.

        Who is woken may not need the place any more, because its time is up or it goes elsewhere.
        """
        passed_over = 0
        for ticket in tuple(self._lines.get(provider_id, ())):
            still_waits = ticket in self._lines.get(provider_id, ()) and not ticket.is_awake
            if still_waits and self._offer(ticket):
                passed_over += 1
                if passed_over >= _MOST_PASSED_OVER:
                    return

    def _offer(self, ticket: Ticket) -> bool:
        """Wake a call; tell whether it goes on waiting."""
        before, self._offered = self._offered, ticket
        ticket.is_awake = True
        try:
            ticket.wake()
            waits = self._offered is not ticket
        finally:
            self._offered = before
            ticket.is_awake = False
        if not waits:
            self.leave(ticket)
        return waits

    def changed(self) -> None:
        """Offer everybody what a new routing table may bring."""
        for provider_id in tuple(self._lines):
            self.freed(provider_id)

    def waiting(self, provider_id: str) -> int:
        """Give the number of calls that wait."""
        return len(self._lines.get(provider_id, ()))
