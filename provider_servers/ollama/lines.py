"""JSON lines as they arrive: cut at any byte, all that came in one read together."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

from automarket.errors import BackendFailed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import httpx

MAX_LINE_BYTES = 8 * 1024 * 1024


class LineReader:
    """Takes bytes as they come and gives the objects that are whole."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take bytes; give the objects of the lines that end in them.

        Raises:
            BackendFailed: a line is no JSON object, or is too long.
        """
        end = data.rfind(b"\n")
        if end < 0:
            self._rest += data
            if len(self._rest) > MAX_LINE_BYTES:
                raise _garbage(f"a line of over {MAX_LINE_BYTES:,} bytes")
            return []
        whole = bytes(self._rest) + data[:end]
        self._rest = bytearray(data[end + 1 :])
        return [_object(line) for line in whole.split(b"\n") if line.strip()]

    def finish(self) -> list[dict[str, Any]]:
        """Say that there is no more; give the object of a last line that has no end.

        Raises:
            BackendFailed: it is no JSON object: the stream was cut.
        """
        rest = bytes(self._rest).strip()
        return [_object(rest)] if rest else []


async def read_lines(
    response: httpx.Response, *, first_seconds: float, idle_seconds: float
) -> AsyncGenerator[list[dict[str, Any]]]:
    """Give the objects of a streamed answer: one list for each read that completes any.

    Args:
        response: the answer, not read yet.
        first_seconds: how long the first bytes may take.
        idle_seconds: how long the stream may be silent after that.

    Raises:
        BackendFailed: the stream is silent for too long, or holds what is no JSON object.
        httpx.TransportError: the connection broke.
    """
    reader, patience = LineReader(), first_seconds
    pieces = response.aiter_bytes()
    while True:
        try:
            async with asyncio.timeout(patience):
                piece = await anext(pieces, None)
        except TimeoutError:
            message = f"the backend sent nothing for {patience:.0f} s"
            raise BackendFailed(message, metadata={"phase": "running"}) from None
        patience = idle_seconds
        if objects := reader.finish() if piece is None else reader.feed(piece):
            yield objects
        if piece is None:
            return


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise _garbage(repr(line[:80].decode(errors="replace")))
    return cast("dict[str, Any]", value)


def _garbage(what: str) -> BackendFailed:
    return BackendFailed(f"the backend sent what is no JSON line: {what}", metadata={"phase": "running"})
