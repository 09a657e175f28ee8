"""What is kept of a request so that it can be sent elsewhere: its data until the first answer, within a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.relay.frames import MAX_FRAME_BYTES

if TYPE_CHECKING:
    from gateway.relay.shared import Shared
    from gateway.relay.stream import Stream


class KeptRequest:
    """The data of a request so far.

    Attributes:
        uncredited: bytes at the end of it that the client has not been given back as window.
    """

    __slots__ = ("_parts", "_shared", "_size", "uncredited")

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._parts: list[tuple[bytearray, bool]] = []
        self._size = 0
        self.uncredited = 0

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing came yet, not even an end."""
        return not self._parts

    def add(self, payload: bytes, *, end: bool) -> bool:
        """Keep some more; tell whether the bounds still hold."""
        last, _ = self._parts[-1] if self._parts else (None, False)
        if last is not None and len(last) + len(payload) <= MAX_FRAME_BYTES:
            last += payload  # pieces of a byte each must not cost a hundred each
            self._parts[-1] = (last, end)
        else:
            self._parts.append((bytearray(payload), end))
        self._size += len(payload)
        stats, limits = self._shared.stats, self._shared.limits
        stats.kept += len(payload)
        return self._size <= limits.kept_request_bytes and stats.kept <= limits.worker_kept_bytes

    def send(self, server: Stream) -> None:
        """Send all of it to a server; credit goes with what had none yet."""
        credited = self._size - self.uncredited
        for payload, end in self._parts:
            credit = max(0, min(len(payload), len(payload) - credited))
            credited -= len(payload) - credit
            server.connection.send_data(server, bytes(payload), credit, end=end)
        self.uncredited = 0

    def drop(self) -> None:
        """Forget it."""
        self._shared.stats.kept -= self._size
        self._parts.clear()
        self._size = 0
