"""The standard health service, grpc.health.v1.

The one that comes with grpcio forgets its other watchers when one of them leaves, and its watches hold up the end of
a server for as long as the server waits for its calls.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from grpc_health.v1 import health_pb2 as _health_pb2
from grpc_health.v1 import health_pb2_grpc as _health_pb2_grpc

from automarket.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# This package carries no types.
health_pb2: Any = cast("Any", _health_pb2)
health_pb2_grpc: Any = cast("Any", _health_pb2_grpc)

SERVICE_NAME = "grpc.health.v1.Health"

_States = health_pb2.HealthCheckResponse


class HealthServicer:
    """Says of each name whether it takes work. The empty name is the whole server."""

    def __init__(self) -> None:
        self._states: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._ended = False

    def set(self, name: str, *, serving: bool) -> None:
        """Say whether a name takes work. After `end` nothing does."""
        self._states[name] = _States.SERVING if serving and not self._ended else _States.NOT_SERVING
        self._tell()

    def end(self) -> None:
        """Say that nothing takes work any more, and let every watch end after it has said so."""
        self._ended = True
        for name in self._states:
            self._states[name] = _States.NOT_SERVING
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def Check(self, request: Any, _context: Any) -> Any:  # noqa: N802 - the contract's name
        """Say how a name is now."""
        if request.service not in self._states:
            raise NotFoundError(f"this server has no service {request.service[:200]!r}")
        return _States(status=self._states[request.service])

    async def List(self, _request: Any, _context: Any) -> Any:  # noqa: N802 - the contract's name
        """Say how every name is now. Packages before 1.82 do not have this call, and never make it."""
        states = {name: _States(status=state) for name, state in self._states.items()}
        return health_pb2.HealthListResponse(statuses=states)

    async def Watch(self, request: Any, _context: Any) -> AsyncIterator[Any]:  # noqa: N802 - the contract's name
        """Say how a name is now, and again whenever that changes."""
        said = None
        while True:
            changed = self._changed
            state = self._states.get(request.service, _States.SERVICE_UNKNOWN)
            if state != said:
                said = state
                yield _States(status=state)
            if self._ended:
                return
            if changed is self._changed:
                await changed.wait()


def add_to_server(servicer: HealthServicer, server: Any) -> None:
    """Serve it."""
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
