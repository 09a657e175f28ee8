"""Calling a provider server without the gateway between: which of its addresses can be reached, and what was lost."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from automarket.errors import (
    CallCancelled,
    EndedError,
    ProviderBusy,
    ProviderLost,
    ProviderUnavailable,
    ProviderUnknown,
    UnavailableError,
)
from automarket.rpc.channel import is_local, open_channel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from automarket.client.descriptors import Route
    from automarket.errors import AutoMarketError

DIRECT_ABOVE = 16 * 1024 * 1024
"""What is streamed goes to the provider itself when it has more bytes than this."""

CONNECT_SECONDS = 1.0
SHUN_SECONDS = 30.0
_ANY_HOST = ("0.0.0.0", "::")  # noqa: S104 - what a server that listens everywhere may be registered as
# What grpc-core says, as INTERNAL or UNKNOWN, of a peer that went away.
_BROKEN_WORDS = ("internal error from core", "stream removed", "rst_stream", "connection reset", "socket closed")
_REFUSED = (ProviderBusy, ProviderUnavailable, ProviderUnknown)


@dataclass(frozen=True, slots=True)
class Found:
    """An address that answers, and the connection to it."""

    address: str
    channel: grpc.aio.Channel


class Direct:
    """Finds addresses that answer. A direct call has a connection of its own, which ends with it.

    Args:
        mesh: the mesh's address; it tells whether another address on loopback means the same machine.
        above: how many bytes have to be streamed for a direct call; 0 calls directly always, None never.

    Attributes:
        is_closed: the mesh was closed, and with it every connection.
    """

    def __init__(self, mesh: str, above: int | None) -> None:
        self.is_closed = False
        self._mesh = mesh
        self.above = above
        self._mesh_is_here: bool | None = None
        self._shunned: dict[str, float] = {}
        self._channels: set[grpc.aio.Channel] = set()

    def is_for(self, size: int) -> bool:
        """Tell whether so many bytes are to go directly."""
        return self.above is not None and (size > self.above or not self.above)

    @contextlib.asynccontextmanager
    async def connection(self, addresses: Iterable[str]) -> AsyncGenerator[Found | None]:
        """Connect, for the time of the block, to the first address that answers; give None when none does."""
        for address in addresses:
            if self._is_shunned(address) or not await self._can_be_here(address):
                continue
            channel = open_channel(address)
            self._channels.add(channel)
            try:
                if await _connects(channel):
                    yield Found(address, channel)
                    return
            finally:
                self._channels.discard(channel)
                await channel.close()
            self.shun(address)
        yield None

    async def close(self) -> None:
        """Close the connections; calls under way are cancelled."""
        self.is_closed = True
        await asyncio.gather(*(channel.close() for channel in self._channels))

    def shun(self, address: str) -> None:
        """Leave an address alone for a while: nobody answered there, or somebody else."""
        now = time.monotonic()
        self._shunned = {one: until for one, until in self._shunned.items() if until > now}
        self._shunned[address] = now + SHUN_SECONDS

    def _is_shunned(self, address: str) -> bool:
        return self._shunned.get(address, 0.0) > time.monotonic()

    async def _can_be_here(self, address: str) -> bool:
        if address.startswith("unix:"):
            return Path(address.removeprefix("unix:")).is_socket()
        if not is_local(address) and _host(address) not in _ANY_HOST:
            return True
        if self._mesh_is_here is None:
            self._mesh_is_here = await asyncio.to_thread(_is_here, self._mesh)
        return self._mesh_is_here


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _is_here(address: str) -> bool:
    """Tell whether an address is this machine's own. Blocks while a name is looked up."""
    if is_local(address):
        return True
    try:
        found = socket.getaddrinfo(_host(address), None, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    return any(_can_bind(family, where) for family, *_, where in found)


def _can_bind(family: socket.AddressFamily, where: Any) -> bool:
    """Tell whether an address belongs to a network interface of this machine: no other can be bound."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind(where)
    except OSError:
        return False
    return True


async def _connects(channel: grpc.aio.Channel) -> bool:
    ended = (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            while (state := channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
                if state in ended:
                    return False
                await channel.wait_for_state_change(state)
    except TimeoutError:
        return False
    return True


def is_broken(error: AutoMarketError) -> bool:
    """Tell whether a call ended because the connection did, and not because the server said so.

    Every server of the mesh sends ErrorInfo, which always says `retry`.
    """
    if "retry" in error.metadata:
        return False
    if type(error) is EndedError:
        return any(word in error.message.lower() for word in _BROKEN_WORDS)
    return type(error) in (UnavailableError, CallCancelled)


def is_refused(error: AutoMarketError) -> bool:
    """Tell whether a provider server did not take a call that another one may take."""
    return isinstance(error, _REFUSED)


def resolved(route: Route) -> list[tuple[str, str]]:
    """Say in call metadata what was chosen, as the gateway does."""
    model = route.model
    return [("automarket-resolved-model", model.id), ("automarket-resolved-provider", model.provider_id)]


def lost(route: Route, *, begun: bool) -> ProviderLost:
    """Say, as the gateway does, that a provider was lost during a call."""
    phase = "running" if begun else "before the first event"
    facts = {
        "provider": route.model.provider_id,
        "model": route.model.id,
        "instance": route.instance_id,
        "phase": phase,
    }
    return ProviderLost(
        f"provider {route.model.provider_id} was lost during the call ({phase})",
        hint="try again; the mesh starts it anew or chooses another one",
        retry_after=1.0,
        metadata=facts,
    )
