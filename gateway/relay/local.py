"""The calls that the relay answers itself: grpc.health.v1, from the routing table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from automarket.errors import AutoMarketError, InvalidRequestError, MethodUnknown, NotFoundError
from gateway.relay.destination import HEALTH
from gateway.relay.headers import block
from gateway.relay.heads import GRPC
from gateway.relay.health_messages import answer, listing, service_of

if TYPE_CHECKING:
    from gateway.relay.call import Call
    from gateway.relay.table import Table

SERVING: Final = 1
NOT_SERVING: Final = 2
SERVICE_UNKNOWN: Final = 3

SERVICES: Final[tuple[str, ...]] = (
    "",
    "automarket.v1.AssetService",
    "automarket.v1.DiscoveryService",
    "automarket.v1.JobService",
    "automarket.v1.MediaProviderService",
    "automarket.v1.ModelService",
    "automarket.v1.UsageService",
    "grpc.health.v1.Health",
)
_PREFIX_BYTES: Final = 5
_MOST_BYTES: Final = 4096
_LONGEST_SHOWN: Final = 200
_HEAD: Final = block([(b":status", b"200"), (b"content-type", GRPC)])
_OK: Final = block([(b"grpc-status", b"0")])


class Ends(Protocol):
    """What ends calls."""

    def end_with(self, call: Call, error: AutoMarketError) -> None:
        """End a call with an error."""

    def end_with_block(self, call: Call, ending: bytes) -> None:
        """End a call with trailers."""


def serving(table: Table) -> dict[str, int]:
    """Tell for each service, provider id and capability name whether somebody takes its calls."""
    states: dict[str, int] = dict.fromkeys(SERVICES, SERVING)
    for provider in table.providers:
        here = provider.available and any(not instance.draining for instance in provider.instances)
        states[provider.id] = SERVING if here else NOT_SERVING
        for model in provider.models:
            for name in model.capabilities:
                if here and model.available:
                    states[name] = SERVING
                else:
                    states.setdefault(name, NOT_SERVING)
    return states


class Health:
    """Says of each name whether it takes work. A name that is gone takes none."""

    def __init__(self) -> None:
        self.states: dict[str, int] = dict.fromkeys(SERVICES, SERVING)
        self._watches: set[LocalCall] = set()
        self._has_ended = False

    def begin(self, call: Call, ends: Ends, *, end: bool) -> None:
        """Take a call."""
        call.local = LocalCall(call, self, ends)
        if end:
            call.local.take(b"", end=True)

    def follow(self, table: Table) -> None:
        """Take the states that a table shows."""
        if not self._has_ended:
            self._become({**dict.fromkeys(self.states, NOT_SERVING), **serving(table)})

    def end(self) -> None:
        """Say that nothing takes work any more, and end every watch after it has said so."""
        self._has_ended = True
        self._become(dict.fromkeys(self.states, NOT_SERVING))
        for watch in tuple(self._watches):
            watch.finish()

    def _become(self, states: dict[str, int]) -> None:
        self.states = states
        for watch in tuple(self._watches):
            watch.tell()

    def watch(self, local: LocalCall) -> None:
        """Tell a call about changes."""
        self._watches.add(local)

    def leave(self, local: LocalCall) -> None:
        """Stop telling a call."""
        self._watches.discard(local)


class LocalCall:
    """One call to the health service.

    Args:
        call: the call.
        health: the service.
        ends: what ends calls.
    """

    def __init__(self, call: Call, health: Health, ends: Ends) -> None:
        self._call = call
        self._health = health
        self._ends = ends
        self._came = b""
        self._name = ""
        self._said: int | None = None

    def take(self, payload: bytes, *, end: bool) -> None:
        """Take some of the request."""
        client = self._call.client
        self._came += payload
        client.connection.consumed(client, len(payload))
        size = int.from_bytes(self._came[1:_PREFIX_BYTES], "big") if len(self._came) >= _PREFIX_BYTES else -1
        if max(size, len(self._came)) > _MOST_BYTES or (end and len(self._came) != _PREFIX_BYTES + size):
            self._refuse(InvalidRequestError("that is no request of the health service"))
        elif end:
            self._answer(self._came[0], self._came[_PREFIX_BYTES:])

    def _refuse(self, error: AutoMarketError) -> None:
        self._ends.end_with(self._call, error)

    def _answer(self, flags: int, message: bytes) -> None:
        method = self._call.head.path.removeprefix(HEALTH)
        try:
            if flags:
                raise InvalidRequestError("the health service takes no compressed requests")
            self._name = service_of(message)
        except (AutoMarketError, ValueError) as error:
            known = isinstance(error, AutoMarketError)
            self._refuse(error if known else InvalidRequestError("that is no request of the health service"))
            return
        states = self._health.states
        if method == "Watch":
            self._begin()
            self._health.watch(self)
            self.tell()
        elif method == "List":
            self._begin()
            self._send(listing(states))
            self.finish()
        elif method != "Check":
            self._refuse(MethodUnknown(f"the health service has no method {method[:_LONGEST_SHOWN]}"))
        elif self._name not in states:
            self._refuse(NotFoundError(f"this mesh has no service {self._name[:_LONGEST_SHOWN]!r}"))
        else:
            self._begin()
            self._send(answer(states[self._name]))
            self.finish()

    def _begin(self) -> None:
        self._call.encoding = b"identity"
        self._call.client.connection.send_headers(self._call.client, _HEAD, end=False)

    def _send(self, message: bytes) -> None:
        client = self._call.client
        for at in range(0, len(message), _MOST_BYTES):
            client.connection.send_data(client, message[at : at + _MOST_BYTES], 0, end=False)

    def tell(self) -> None:
        """Say how the name is now, when that is not what was said last."""
        state = self._health.states.get(self._name, SERVICE_UNKNOWN)
        if state != self._said:
            self._said = state
            self._send(answer(state))

    def finish(self) -> None:
        """End the call."""
        self._health.leave(self)
        self._ends.end_with_block(self._call, _OK)

    def close(self) -> None:
        """Note that the caller is gone."""
        self._health.leave(self)
