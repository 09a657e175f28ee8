"""One answer of a language model over HTTP: from the response to the events of the mesh."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Protocol

import aiohttp

from automarket.errors import BackendFailed
from provider_servers.runtime.chat.answer import closing_events
from provider_servers.runtime.http.reading import read_batches
from provider_servers.runtime.http.sse import SseReader
from provider_servers.runtime.vendors.errors import broken
from provider_servers.runtime.vendors.upstream import PATIENCE_HINT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from provider_servers.runtime.chat.answer import Delta, Ending
    from provider_servers.runtime.events import Event
    from provider_servers.runtime.http.sse import SseEvent
    from provider_servers.runtime.vendors.upstream import Upstream

LINGER_SECONDS = 0.02


class AnswerReader(Protocol):
    """Reads one answer of a vendor's API; what it says of the end is in `ending`."""

    ending: Ending

    def take(self, events: Sequence[SseEvent]) -> list[Delta]:
        """Take the events of one read; give what they bring."""
        ...

    def take_whole(self, body: bytes) -> list[Delta]:
        """Take an answer that is not a stream."""
        ...

    def finish(self) -> None:
        """Say that nothing more comes; raises when the answer is not complete."""
        ...


async def read_answer(
    response: aiohttp.ClientResponse, reader: AnswerReader, upstream: Upstream
) -> AsyncGenerator[Event]:
    """Give the events of an answer: what each read brings as it comes, then how it ended and what it used.

    Raises:
        AutoMarketError: the vendor says in the stream that it failed, the stream is cut off, silent or garbage.
        aiohttp.ClientError: the connection broke.
    """
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "text/html":
        raise broken(upstream.vendor, "it sent a web page instead of an answer")
    if kind == "application/json":
        for delta in reader.take_whole(await _whole(response, upstream)):
            yield delta
        reader.finish()
        for event in closing_events(reader.ending):
            yield event
        return
    ending, idle = reader.ending, upstream.idle_seconds
    raw = read_batches(
        response,
        SseReader(),
        who=upstream.vendor.name,
        first_seconds=upstream.first_seconds,
        idle_seconds=idle,
        hint=PATIENCE_HINT,
    )
    async with aclosing(raw) as batches:
        async for batch in batches:
            for delta in reader.take(batch):
                yield delta
            if ending.complete or ending.fault is not None:
                break
        reader.finish()
        for event in closing_events(ending):
            yield event
        # The end of the body mostly comes with the end marker: then the connection can serve the next call.
        with suppress(TimeoutError, BackendFailed, aiohttp.ClientError):
            async with asyncio.timeout(LINGER_SECONDS):
                await anext(batches, None)


async def _whole(response: aiohttp.ClientResponse, upstream: Upstream) -> bytes:
    try:
        async with asyncio.timeout(upstream.first_seconds):
            return await upstream.body(response)
    except TimeoutError:
        raise broken(upstream.vendor, f"its answer was not there after {upstream.first_seconds:g} s") from None
