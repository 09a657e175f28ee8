"""JSON lines as they arrive: cut at any byte, all that came in one read together."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

import msgspec

from automarket.errors import BackendFailed
from provider_servers.runtime.http.lines import MAX_LINE_BYTES, NdjsonReader
from provider_servers.runtime.http.reading import read_batches

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import aiohttp


class LineReader:
    """Takes bytes as they come and gives the objects that are whole."""

    def __init__(self) -> None:
        self._lines = NdjsonReader(MAX_LINE_BYTES)

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take bytes; give the objects of the lines that end in them.

        Raises:
            BackendFailed: a line is no JSON object, or is too long.
        """
        return [_object(line) for line in self._lines.feed(data)]

    def finish(self) -> list[dict[str, Any]]:
        """Say that there is no more; give the object of a last line that has no end.

        Raises:
            BackendFailed: it is no JSON object: the stream was cut.
        """
        return [_object(line) for line in self._lines.finish()]


async def read_lines(
    response: aiohttp.ClientResponse, *, first_seconds: float, idle_seconds: float
) -> AsyncGenerator[list[dict[str, Any]]]:
    """Give the objects of a streamed answer: one list for each read that completes any.

    Args:
        response: the answer, not read yet.
        first_seconds: how long the first bytes may take.
        idle_seconds: how long the stream may be silent after that.

    Raises:
        BackendFailed: the stream is silent for too long, or holds what is no JSON object.
        aiohttp.ClientError: the connection broke.
    """
    batches = read_batches(
        response, LineReader(), who="the backend", first_seconds=first_seconds, idle_seconds=idle_seconds
    )
    async with aclosing(batches):
        async for batch in batches:
            yield batch


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = None
    if not isinstance(value, dict):
        message = f"the backend sent what is no JSON line: {line[:80].decode(errors='replace')!r}"
        raise BackendFailed(message, metadata={"phase": "running"})
    return cast("dict[str, Any]", value)
