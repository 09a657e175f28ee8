"""What the SDK gives piece by piece, in a thread of its own, as an async generator that can be closed at any time."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from automarket.errors import AutoMarketError, DockerStopped

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable

_END = object()


class _Reader:
    """Reads in a thread. Every stream has a connection of its own, which is shut to make a waiting reader end."""

    def __init__(self, connect: Callable[[], Any], begin: Callable[[Any], Iterable[Any]]) -> None:
        self._connect = connect
        self._begin = begin
        self._loop = asyncio.get_running_loop()
        self._responses: list[Any] = []
        self._closed = False
        self.pieces: asyncio.Queue[Any] = asyncio.Queue()

    def read(self) -> None:
        """Read to the end; the thread's work."""
        from docker.errors import APIError

        try:
            api = self._connect()
            try:
                api.hooks["response"].append(self._keep)
                for piece in self._begin(api):
                    self._put(piece)
            finally:
                for response in self._responses:
                    response.close()
                api.close()
        except APIError as error:
            self._put({"error": error.explanation or str(error)})
        except AutoMarketError as error:
            self._put(error)
        except (*broken_off(), ValueError, AttributeError) as error:
            # The SDK's reader of a connection that is shut meanwhile fails in several ways.
            self._put(DockerStopped(f"Docker's engine broke off: {type(error).__name__}"))
        self._put(_END)

    def close(self) -> None:
        """Shut the connection; the thread ends by itself."""
        self._closed = True
        for response in self._responses:
            _shut(response)

    def _keep(self, response: Any, *_args: Any, **_more: Any) -> None:
        self._responses.append(response)
        if self._closed:
            _shut(response)

    def _put(self, piece: Any) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self.pieces.put_nowait, piece)


async def stream(connect: Callable[[], Any], begin: Callable[[Any], Iterable[Any]]) -> AsyncGenerator[dict[str, Any]]:
    """Give what `begin` gives, read in a thread; what the engine refuses is a piece with "error".

    Raises:
        DockerStopped: the engine ended.
    """
    reader = _Reader(connect, begin)
    threading.Thread(target=reader.read, name="docker-stream", daemon=True).start()
    try:
        while (piece := await reader.pieces.get()) is not _END:
            if isinstance(piece, AutoMarketError):
                raise piece
            yield piece
    finally:
        reader.close()


def broken_off() -> tuple[type[Exception], ...]:
    """Give the errors by which the SDK tells that a connection to the engine broke, or never was."""
    import requests
    import urllib3
    from docker.errors import DockerException

    return requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, DockerException, OSError


def _shut(response: Any) -> None:
    from docker.errors import DockerException
    from docker.types import CancellableStream

    with suppress(OSError, AttributeError, DockerException):
        CancellableStream(iter(()), response).close()
