"""Connections to the servers behind the gateway."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import grpc
import grpc.aio

from automarket.rpc.channel import open_channel
from gateway.relay.balance import Balance

CONNECT_SECONDS = 1.0

_FAILED = (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN)


class Upstreams:
    """Channels by address, and how many calls go over each instance."""

    def __init__(self) -> None:
        self._channels: dict[str, grpc.aio.Channel] = {}
        self.balance = Balance()

    async def connect(self, address: str) -> grpc.aio.Channel | None:
        """Give a channel that is connected, or None when nobody answers there; nothing has been sent then."""
        channel = self._channels.get(address)
        if channel is None:
            channel = self._channels[address] = open_channel(address)
        if channel.get_state(try_to_connect=True) == grpc.ChannelConnectivity.READY or await _ready(channel):
            return channel
        if self._channels.get(address) is channel:  # other calls may have waited for it too
            del self._channels[address]  # the next attempt starts without back-off
            await channel.close()
        return None

    def count(self, instance_id: str, change: int) -> None:
        """Note that a call to an instance begins (1) or ends (-1)."""
        if change > 0:
            self.balance.begin(instance_id)
        else:
            self.balance.end(instance_id, now=time.monotonic(), seconds=None, failed=False)

    async def keep_only(self, addresses: set[str]) -> None:
        """Close channels to addresses that are not in the routing table any more, when nothing goes over them."""
        for address in set(self._channels) - addresses:
            await self._channels.pop(address).close(grace=60)

    async def close(self) -> None:
        """Close all channels."""
        while self._channels:
            await self._channels.popitem()[1].close()


async def _ready(channel: grpc.aio.Channel) -> bool:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            while (state := channel.get_state(try_to_connect=True)) != grpc.ChannelConnectivity.READY:
                if state in _FAILED:
                    return False
                await channel.wait_for_state_change(state)
    except TimeoutError:
        return False
    return True


def stream_call(channel: grpc.aio.Channel, method: str, metadata: Any, timeout: float | None) -> Any:
    """Begin a call that passes serialised messages. Every kind of method is a stream of messages on the wire."""
    return cast("Any", channel).stream_stream(method)(metadata=metadata, timeout=timeout)
