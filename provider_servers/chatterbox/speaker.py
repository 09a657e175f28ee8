"""A text, spoken sentence by sentence. Each is a request of its own: others get their turns, and a cancel is quick."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from automarket.errors import BackendFailed, NotFoundError
from provider_servers.chatterbox.request import Request

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from provider_servers.chatterbox.client import ChatterboxClient, Manner
    from provider_servers.chatterbox.request import Link
    from provider_servers.runtime import Call, Progress
    from services.runtime import Lease


PAUSE_SECONDS = 0.2  # between sentences, as the server itself makes it
_READ_BYTES = 256 * 1024


class Settle(Protocol):
    """Finds out how to speak."""

    async def __call__(self, client: ChatterboxClient, *, anew: bool) -> Manner:
        """Ask the server; `anew` when what was found out has turned out to be wrong."""
        ...


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sentence in a file: 16-bit little-endian mono samples without a header."""

    sample_rate: int
    size: int


class Speaker:
    """Speaks the text of one call.

    A sentence is taken whole before any of it goes on, so that one whose connection breaks can be spoken again; it
    waits in a file, since nothing bounds its length.

    Args:
        link: how the server is reached.
        lease: the call's.
        call: the call.
        pieces: the sentences.
        settle: finds out how to speak, with a voice that the server has; anew when the server lost the voice.
    """

    spoken: Spoken
    """The sentence that was spoken last."""

    def __init__(
        self,
        link: Link,
        lease: Lease,
        call: Call,
        pieces: Sequence[str],
        settle: Settle,
    ) -> None:
        self._link = link
        self._lease = lease
        self._call = call
        self._pieces = pieces
        self._settle = settle
        self._manner: Manner | None = None
        self._lost = False
        self._file = call.workdir / "sentence"
        self._left = False

    async def first(self) -> AsyncGenerator[Progress]:
        """Speak the first sentence, and give news until it is spoken."""
        async with aclosing(self._speak(0)) as news:
            async for one in news:
                yield one

    async def samples(self) -> AsyncGenerator[bytes]:
        """Give the sound of all sentences, each when it is spoken; the first one is.

        Raises:
            BackendFailed: a sentence could not be spoken; the error says which.
        """
        try:
            rate = self.spoken.sample_rate
            for number in range(len(self._pieces)):
                if number:
                    async with aclosing(self._speak(number)) as news:
                        async for _ in news:
                            pass
                    if self.spoken.sample_rate != rate:
                        message = f"chatterbox changed from {rate} Hz to {self.spoken.sample_rate} Hz within a text"
                        raise BackendFailed(message)
                    yield bytes(round(rate * PAUSE_SECONDS) * 2)
                with self._file.open("rb") as file:
                    while data := await asyncio.to_thread(file.read, _READ_BYTES):
                        yield data
        finally:
            self.leave()

    def leave(self) -> None:
        """Want nothing more: what is on its way is not written down."""
        self._left = True

    async def _speak(self, number: int) -> AsyncGenerator[Progress]:
        doing = f"speaking sentence {number + 1} of {len(self._pieces)}"
        for may_settle_again in (True, False):
            request = Request(self._link, self._lease, self._asking(self._pieces[number]), doing, self._call.log)
            try:
                async with aclosing(request.run()) as news:
                    async for one in news:
                        yield one
            except NotFoundError:
                if not may_settle_again:
                    raise
                self._call.log("the server has lost the voice")
                self._manner, self._lost = None, True
            except BackendFailed as error:
                raise _named(error, number, len(self._pieces)) from error
            else:
                self.spoken = request.answer
                return

    def _asking(self, text: str) -> Callable[[ChatterboxClient, Callable[[], None]], Awaitable[Spoken]]:
        async def ask(client: ChatterboxClient, sent: Callable[[], None]) -> Spoken:
            if self._manner is None:
                self._manner = await self._settle(client, anew=self._lost)
            speech = await client.speak(text, self._manner, sent=sent)
            size = 0
            try:
                if not self._left:
                    with self._file.open("wb") as file:
                        async for piece in speech.samples():
                            file.write(piece)
                            size += len(piece)
            finally:
                await speech.close()
            return Spoken(speech.sample_rate, size)

        return ask


def _named(error: BackendFailed, number: int, count: int) -> BackendFailed:
    """Say which sentence it was."""
    if count == 1:
        return error
    return BackendFailed(
        f"sentence {number + 1} of {count} could not be spoken: {error.message}",
        hint=error.hint,
        retry_after=error.retry_after,
        metadata=error.metadata | {"sentence": str(number + 1)},
        log_lines=error.log_lines,
    )
