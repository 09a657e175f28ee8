"""One request to the server: in its turn, once more where that may help, with news for whoever waits."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from automarket.errors import BackendFailed
from provider_servers.chatterbox.client import ChatterboxClient
from provider_servers.chatterbox.faults import answered, may_pass
from provider_servers.runtime import Progress, waiting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    import httpx

    from provider_servers.runtime.turns import Turns
    from services.runtime import Lease, OnDemand

T = TypeVar("T")
Ask: TypeAlias = "Callable[[ChatterboxClient, Callable[[], None]], Awaitable[T]]"
"""Makes a request, and calls what it is given once the request is out."""

NEWS_SECONDS = 1.0
_PAUSE_SECONDS = 0.2
_NOTICE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Link:
    """What all requests of a provider share: the backend, the line before it, and what carries the requests."""

    backend: OnDemand
    turns: Turns
    http: httpx.AsyncClient


class Request(Generic[T]):
    """One request.

    Args:
        link: how the server is reached.
        lease: the call's; the container is started again through it when it has ended.
        ask: makes the request.
        doing: what is done, for people: "speaking sentence 3 of 20".
        log: takes lines for whoever looks into the call.
    """

    answer: T
    """What was answered, once `run` is through."""

    def __init__(self, link: Link, lease: Lease, ask: Ask[T], doing: str, log: Callable[[str], None]) -> None:
        self._link = link
        self._lease = lease
        self._ask = ask
        self._doing = doing
        self._log = log

    async def run(self) -> AsyncGenerator[Progress]:
        """Give news, once a second, until there is an answer.

        Raises:
            BackendFailed: it failed; where trying again may help, twice.
            ServiceStartFailed, StateError: the container cannot be started again.
        """
        try:
            async with aclosing(self._try()) as news:
                async for one in news:
                    yield one
        except BackendFailed as error:
            if not may_pass(error):
                raise
            self._log(f"{self._doing} failed and is tried once more: {error.message}")
            yield Progress("running", message=f"{self._doing} failed and is tried once more")
            await asyncio.sleep(error.retry_after or _PAUSE_SECONDS)
            if not answered(error):
                async with aclosing(self._back()) as news:
                    async for one in news:
                        yield one
        else:
            return
        async with aclosing(self._try()) as news:
            async for one in news:
                yield one

    async def _back(self) -> AsyncGenerator[Progress]:
        """Wait until the server is back, which is started again when it has ended.

        Docker may take a while to notice an end, and says until then that all is well: the server is asked, too.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + _NOTICE_SECONDS
        while loop.time() < until:
            async with aclosing(self._lease.ready()) as states:
                async for status in states:
                    yield waiting(status)
            if await ChatterboxClient(self._lease.url, self._link.http).is_ready():
                return
            yield Progress("running", message="the server does not answer")
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _try(self) -> AsyncGenerator[Progress]:
        turn = self._link.turns.take(self._send)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        try:
            await turn.news(NEWS_SECONDS)
            while not turn.has_ended:
                if turn.is_out:
                    yield Progress("running", message=f"{self._doing}, {loop.time() - begin:.0f} s so far")
                elif ahead := self._link.turns.ahead_of(turn):
                    yield Progress("queued", message=f"{ahead} ahead, one sentence each")
                await turn.news(NEWS_SECONDS)
            self.answer = turn.result()
        finally:
            turn.leave()

    async def _send(self, sent: Callable[[], None]) -> T:
        """Ask; under a lease of its own, since a request that is out is seen through when its call has gone."""
        async with self._link.backend.lease() as lease:
            return await lease.run(self._ask(ChatterboxClient(lease.url, self._link.http), sent))
