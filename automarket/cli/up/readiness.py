"""Waiting until a server takes work."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import grpc.aio
from grpc_health.v1 import health_pb2 as _health_pb2
from grpc_health.v1 import health_pb2_grpc as _health_pb2_grpc

from automarket.cli.up.port import listens
from automarket.rpc.channel import open_channel

# These packages carry no types.
health_pb2: Any = cast("Any", _health_pb2)
health_pb2_grpc: Any = cast("Any", _health_pb2_grpc)

_STEP_SECONDS = 0.03


async def until_serving(address: str, pid: int) -> None:  # noqa: ARG001 - an address of its own needs no pid
    """Wait until grpc.health.v1 at an address says that the server takes work."""
    await _until_listening(address)
    await _until_healthy(address)


async def until_sharing(address: str, pid: int) -> None:
    """Wait until one of the processes that share a port takes its part of the calls.

    Whoever asks at the port is answered by any of them, so this one is watched from outside.
    """
    port = int(address.rpartition(":")[2])
    while not listens(pid, port):  # noqa: ASYNC110 - another process's state has no event
        await asyncio.sleep(_STEP_SECONDS)
    await _until_healthy(address)


async def _until_healthy(address: str) -> None:
    async with open_channel(address) as channel:
        while not await _serving(channel):  # noqa: ASYNC110 - another process's state has no event
            await asyncio.sleep(_STEP_SECONDS)


async def _until_listening(address: str) -> None:
    """Wait for the socket by itself: a gRPC channel would try ever more rarely."""
    while True:
        try:
            if address.startswith("unix:"):
                _, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
            else:
                host, _, port = address.rpartition(":")
                _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            await asyncio.sleep(_STEP_SECONDS)
            continue
        writer.close()
        await writer.wait_closed()
        return


async def _serving(channel: grpc.aio.Channel) -> bool:
    try:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2)
    except grpc.aio.AioRpcError:
        return False
    return answer.status == health_pb2.HealthCheckResponse.SERVING
