"""Decoders as child processes, lent to one call at a time.

pocketsphinx keeps Python's lock while it works. In a process of its own it stops neither this one nor another call, a
cancel ends it at once, and a crash of its C code is one call's error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from automarket.children import reap
from automarket.errors import BackendFailed
from provider_servers.pocketsphinx.engine import LENGTH, HeardWord, Utterance

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncGenerator, AsyncIterator

CHILD = "provider_servers.pocketsphinx.child"
_PIPE = asyncio.subprocess.PIPE


class Decoder:
    """One child with the model loaded. It hears one sound at a time."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None  # noqa: S101 - `start` makes both pipes
        assert process.stdout is not None  # noqa: S101
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout

    @classmethod
    async def start(cls) -> Decoder:
        """Start a child and wait until its model is loaded.

        Raises:
            BackendFailed: it ended instead.
        """
        command = (sys.executable, "-P", "-m", CHILD)
        process = await asyncio.create_subprocess_exec(*command, stdin=_PIPE, stdout=_PIPE, start_new_session=True)
        decoder = cls(process)
        try:
            await decoder._read()
        except BaseException:
            await decoder.end()
            raise
        return decoder

    async def answers(self) -> bool:
        """Tell whether the child still works; when it does not, it is ended."""
        try:
            async with aclosing(self.hear(_nothing())) as utterances:
                async for _ in utterances:
                    pass
        except BaseException as error:
            await self.end()
            if isinstance(error, BackendFailed):
                return False
            raise
        return True

    async def end(self) -> None:
        """Kill the child, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await reap(self._process)

    async def hear(self, sound: AsyncIterator[bytes]) -> AsyncGenerator[Utterance]:
        """Give the utterances of a sound, 16-bit samples at 16 kHz, while it arrives.

        A decoder whose generator was closed before its end is in the middle of a sound: end it.

        Raises:
            BackendFailed: the child ended.
        """
        feeding = asyncio.create_task(self._feed(sound))
        reading = asyncio.create_task(self._read())
        try:
            while True:
                await asyncio.wait({feeding, reading}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    feeding.result()  # raises what the source of the sound raised
                answer = await reading
                if answer is True:
                    return
                yield Utterance(tuple(HeardWord(*word) for word in answer))
                reading = asyncio.create_task(self._read())
        finally:
            feeding.cancel()
            reading.cancel()
            await asyncio.gather(feeding, reading, return_exceptions=True)

    async def _feed(self, sound: AsyncIterator[bytes]) -> None:
        with contextlib.suppress(ConnectionError):  # the child has ended, which the reader finds out
            async for piece in sound:
                if piece:
                    self._stdin.writelines((LENGTH.pack(len(piece)), piece))
                    await self._stdin.drain()
            self._stdin.write(LENGTH.pack(0))
            await self._stdin.drain()

    async def _read(self) -> Any:
        line = await self._stdout.readline()
        if not line.endswith(b"\n"):
            code = await self._process.wait()
            message = f"the speech decoder ended with code {code} in the middle of its work"
            raise BackendFailed(message, metadata={"exit_code": str(code), "phase": "running"})
        return json.loads(line)


class Decoders:
    """Decoders that are loaded and wait for a call."""

    def __init__(self) -> None:
        self._waiting: list[Decoder] = []

    async def warm(self) -> None:
        """Load one beforehand."""
        self._waiting.append(await Decoder.start())

    async def close(self) -> None:
        """End those that wait."""
        while self._waiting:
            await self._waiting.pop().end()

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[Decoder]:
        """Lend a decoder; one that did not come to the end of its work is ended."""
        decoder = await self._take()
        try:
            yield decoder
        except BaseException:
            await decoder.end()
            raise
        self._waiting.append(decoder)

    async def _take(self) -> Decoder:
        while self._waiting:
            decoder = self._waiting.pop()
            if await decoder.answers():
                return decoder
        return await Decoder.start()


async def _nothing() -> AsyncGenerator[bytes]:
    return
    yield
