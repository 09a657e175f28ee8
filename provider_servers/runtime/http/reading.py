"""The events of a streamed answer, as they arrive: all that one read completes are given together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TypeVar

from automarket.errors import BackendFailed
from provider_servers.runtime.http.transport import read

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import aiohttp

T = TypeVar("T")


class Reader(Protocol[T]):
    """Takes bytes as they come and gives what is whole."""

    def feed(self, data: bytes) -> list[T]:
        """Take bytes; give what ends in them."""
        ...

    def finish(self) -> list[T]:
        """Say that there is no more; give what is left."""
        ...


async def read_batches(
    response: aiohttp.ClientResponse,
    reader: Reader[T],
    *,
    who: str,
    first_seconds: float,
    idle_seconds: float,
    hint: str | None = None,
) -> AsyncGenerator[list[T]]:
    """Give what a streamed answer holds: one list for each read that completes anything.

    Nothing is read ahead: who does not take the lists holds back the one who sends. Closing this does not close the
    answer, which is its owner's.

    Args:
        response: the answer, not read yet.
        reader: takes it apart.
        who: the sender, for errors.
        first_seconds: how long the first bytes may take.
        idle_seconds: how long the stream may be silent after that; what only keeps the connection alive counts.
        hint: what helps when it is silent for too long.

    Raises:
        BackendFailed: the stream is silent for too long, or what it holds is too long.
        aiohttp.ClientError: the connection broke.
    """
    patience = first_seconds
    while True:
        try:
            async with asyncio.timeout(patience):
                piece = await read(response)
        except TimeoutError:
            raise stalled(who, patience, hint) from None
        patience = idle_seconds
        if found := reader.feed(piece) if piece else reader.finish():
            yield found
        if not piece:
            return


def stalled(who: str, seconds: float, hint: str | None = None) -> BackendFailed:
    """Give the error for a stream that says nothing any more."""
    return BackendFailed(f"{who} sent nothing for {seconds:g} s", hint=hint, metadata={"phase": "running"})
