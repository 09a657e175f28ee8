"""How a call ends for its client: at once, or when the client has stopped sending."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from automarket.errors import Code
from gateway.relay.frames import ErrorCode
from gateway.relay.heads import answer_block
from gateway.relay.status import trailers

if TYPE_CHECKING:
    from collections.abc import Callable

    from automarket.errors import AutoMarketError
    from gateway.relay.call import Call

# How long a client that is still sending may go on before it is told the end, and before its stream is reset.
DRAIN_SECONDS: Final = 0.8
_QUIET_SECONDS: Final = 0.02


class Endings:
    """Tells clients the ends of their calls.

    Args:
        clock: gives monotonic seconds.
        later: runs something after so many seconds.
        over: tidies up after a call from whose client nothing more comes.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        later: Callable[[float, Callable[[], None]], object],
        over: Callable[[Call], None],
    ) -> None:
        self._clock = clock
        self._later = later
        self._over = over

    def end_with(self, call: Call, error: AutoMarketError) -> None:
        """End a call with an error of the relay's own."""
        call.code, call.reason = error.code, error.reason
        self.end(call, answer_block(trailers(error), begun=call.encoding is not None), at_once=call.client.has_ended)

    def end_with_block(self, call: Call, ending: bytes) -> None:
        """End a call that the relay has answered itself."""
        self.end(call, ending, at_once=True)

    def end(self, call: Call, ending: bytes, *, at_once: bool) -> None:
        """Tell the client the end, at once or when it has stopped sending.

        A `grpc.aio` client whose call ends while it sends often reports an internal error instead of the status.
        """
        client = call.client
        if call.has_ended:
            return
        call.has_ended = True
        call.first = None
        uncredited = call.kept.uncredited if call.kept is not None else 0
        call.drop_kept()
        client.is_fast = False
        client.is_discarding = True
        client.connection.consumed(client, uncredited)
        if client.is_ending:  # a server has ended its answer without trailers
            self.wait_for_end(call)
        elif at_once:
            client.connection.send_headers(client, ending, end=True)
            self.wait_for_end(call)
        else:
            call.ending = ending
            self._drain(call, client.received, self._clock() + DRAIN_SECONDS)

    def _drain(self, call: Call, received: int, until: float) -> None:
        client = call.client
        wait = _QUIET_SECONDS + 2 * client.connection.measure_rtt()

        def look() -> None:
            if call.ending is None:
                return
            if client.has_ended or client.received == received or self._clock() >= until:
                self._tell_end(call)
            else:
                self._drain(call, client.received, until)

        self._later(wait, look)

    def _tell_end(self, call: Call) -> None:
        """Send what was held back while the client was still sending."""
        if call.ending is not None:
            ending, call.ending = call.ending, None
            if call.client.id in call.client.connection.streams:
                call.client.connection.send_headers(call.client, ending, end=True)
                self.wait_for_end(call)

    def wait_for_end(self, call: Call) -> None:
        """Give a client that was told the end time to say its own last word."""
        if not call.client.has_ended:
            self._later(DRAIN_SECONDS, lambda: self.reset_client(call, ErrorCode.NO_ERROR))

    def reset_client(self, call: Call, code: ErrorCode) -> None:
        """End the client's stream at once, if it is still there."""
        connection = call.client.connection
        if call.client.id in connection.streams:
            connection.reset(call.client, code)
            self.cancelled(call)

    def cancelled(self, call: Call) -> None:
        """Note that the client has gone away from a call."""
        if not call.has_ended:
            call.has_ended = True
            call.code = Code.CANCELLED
        call.ending = None
        self._over(call)
