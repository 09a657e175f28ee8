"""One window asked of the backend: in its turn, once more when it fails, with news for whoever waits."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from automarket.errors import BackendFailed
from provider_servers.runtime import Progress, waiting
from provider_servers.runtime.http.backend import make_http
from provider_servers.runtime.turns import Turns
from provider_servers.whisper.client import WhisperClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    import httpx

    from provider_servers.runtime.windows import Window
    from services.runtime import Lease, OnDemand

T = TypeVar("T")
Ask: TypeAlias = "Callable[[WhisperClient, Callable[[], None]], Awaitable[T]]"
"""Makes a request, and calls what it is given once the request is out."""

NEWS_SECONDS = 1.0
LOG_LINES = 20


class Link:
    """What all requests of a provider share: the backend, the line before it, and what carries the requests."""

    def __init__(self, backend: OnDemand) -> None:
        self.backend = backend
        self.turns = Turns()
        self._http: httpx.AsyncClient | None = None

    @property
    def http(self) -> httpx.AsyncClient:
        """What carries the requests; made when it is first needed."""
        if self._http is None:
            self._http = make_http()
        return self._http

    async def close(self) -> None:
        """Give up all requests."""
        await self.turns.close()
        if self._http is not None:
            await self._http.aclose()
            self._http = None


class Request(Generic[T]):
    """One window.

    Args:
        link: how the backend is reached.
        lease: the call's; the backend is started again through it when it has ended.
        window: the window.
        ask: makes the request.
        log: takes lines for whoever looks into the call.
    """

    answer: T
    """What was answered, once `run` is through."""

    def __init__(
        self,
        link: Link,
        lease: Lease,
        window: Window,
        ask: Ask[T],
        log: Callable[[str], None],
    ) -> None:
        self._link = link
        self._lease = lease
        self._ask = ask
        self._log = log
        self._window = window
        self._span = f"{_clock(window.start)} to {_clock(window.end)}"

    async def run(self) -> AsyncGenerator[Progress]:
        """Give news, once a second, until there is an answer.

        Raises:
            BackendFailed: it failed twice; the error names the window.
            ServiceStartFailed, StateError: the backend cannot be started again.
        """
        for is_last in (False, True):
            try:
                async with aclosing(self._try()) as news:
                    async for one in news:
                        yield one
            except BackendFailed as error:
                if is_last:
                    raise await self._named(error) from error
                self._log(f"{self._span} failed and is tried once more: {error.message}")
                yield Progress("running", message=f"{self._span} failed and is tried once more")
                await asyncio.sleep(error.retry_after or 0)
            else:
                return

    async def _try(self) -> AsyncGenerator[Progress]:
        async with aclosing(self._lease.ready()) as states:
            async for status in states:
                yield waiting(status)
        turn = self._link.turns.take(self._send)
        try:
            if ahead := self._link.turns.ahead_of(turn):
                yield self._queued(ahead)
            loop = asyncio.get_running_loop()
            begin = loop.time()
            while not turn.has_ended:
                was_out = turn.is_out
                await turn.news(NEWS_SECONDS)
                begin = begin if was_out else loop.time()
                if turn.is_out and not turn.has_ended:
                    yield Progress("running", message=f"hearing {self._span}, {loop.time() - begin:.0f} s so far")
                elif not turn.has_ended:
                    yield self._queued(self._link.turns.ahead_of(turn))
            self.answer = turn.result()
        finally:
            turn.leave()

    async def _send(self, sent: Callable[[], None]) -> T:
        """Ask; under a lease of its own, since a request that is out is seen through when its call has gone."""
        async with self._link.backend.lease() as lease:
            return await lease.run(self._ask(WhisperClient(lease.url, self._link.http), sent))

    def _queued(self, ahead: int) -> Progress:
        others = "one request of another call is" if ahead == 1 else f"{ahead} requests of other calls are"
        return Progress("queued", message=f"{others} ahead" if ahead else f"sending {self._span}")

    async def _named(self, error: BackendFailed) -> BackendFailed:
        """Give an error that names the window, with the backend's last lines: it tells its reasons nowhere else."""
        lines = error.log_lines or (await self._link.backend.status(LOG_LINES)).log_lines
        window = {"window": f"{self._window.start:.2f}-{self._window.end:.2f}"}
        return BackendFailed(
            f"{self._span} of the recording failed twice: {error.message}",
            hint=error.hint,
            retry_after=error.retry_after,
            metadata=error.metadata | window,
            log_lines=lines,
        )


def _clock(seconds: float) -> str:
    """Write a moment as people do: 1:02:03.5."""
    minutes, second = divmod(round(seconds, 1), 60)
    hour, minute = divmod(int(minutes), 60)
    return f"{hour}:{minute:02d}:{second:04.1f}" if hour else f"{minute}:{second:04.1f}"
