"""Engines as child processes, lent to one call at a time.

An engine blocks for seconds while it works. In a process of its own it stops nobody else, a cancel ends it at once, and
its memory goes with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automarket.children import reap
from automarket.errors import BY_REASON, BackendFailed
from provider_servers.faster_whisper.engine import LENGTH, TIDY_SECONDS
from provider_servers.runtime import ServiceState

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncGenerator

    from provider_servers.faster_whisper.engine import Asking, Plan

Making = tuple[int, int] | ServiceState
"""How far a model is: bytes that are here and bytes in all while it is fetched, else STARTING or LOADING."""

CHILD = "provider_servers.faster_whisper.child"
MAX_LINE_BYTES = 1024 * 1024
_SIGN_SECONDS = 1.0
_PIPE = asyncio.subprocess.PIPE


class Engine:
    """One child with one model. It hears one window at a time.

    Attributes:
        plan: what it is loaded with.
        at_rest: its model is loaded and it has no work.
    """

    def __init__(self, plan: Plan, process: Process) -> None:
        assert process.stdin is not None  # noqa: S101 - `start` makes both pipes
        assert process.stdout is not None  # noqa: S101
        self.plan = plan
        self.at_rest = False
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        self._fetching = False

    @classmethod
    async def start(cls, plan: Plan) -> Engine:
        """Start a child, which begins to fetch or load its model."""
        command = (sys.executable, "-P", "-m", CHILD, json.dumps(asdict(plan)))
        process = await asyncio.create_subprocess_exec(
            *command, stdin=_PIPE, stdout=_PIPE, start_new_session=True, limit=MAX_LINE_BYTES
        )
        return cls(plan, process)

    @property
    def alive(self) -> bool:
        """Whether the child is there."""
        return self._process.returncode is None

    async def ready(self) -> AsyncGenerator[Making]:
        """Wait until the model is loaded; give how far that is, every second at least.

        Raises:
            AutoMarketError: it cannot be had; the error says why.
        """
        state: Making = ServiceState.STARTING
        while not self.at_rest:
            reading = asyncio.ensure_future(self._read())
            try:
                while not (await asyncio.wait({reading}, timeout=_SIGN_SECONDS))[0]:
                    yield state
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            answer = reading.result()
            self._fetching = "pulling" in answer
            state = tuple(answer["pulling"]) if self._fetching else ServiceState.LOADING
            self.at_rest = "ready" in answer
            if not self.at_rest:
                yield state

    async def hear(self, sound: bytes | Path, asking: Asking) -> AsyncGenerator[dict[str, Any]]:
        """Give what is found in samples or a file of them: language and segments, as the child says them.

        Raises:
            BackendFailed: the engine failed, or the child ended.
        """
        self.at_rest = False
        file, samples = (str(sound), b"") if isinstance(sound, Path) else ("", sound)
        text = json.dumps({**asking.as_json(), "file": file, "bytes": len(samples)}).encode()
        with contextlib.suppress(ConnectionError):  # the child has ended, which reading finds out
            self._stdin.writelines((LENGTH.pack(len(text)), text, samples))
            await self._stdin.drain()
        while "done" not in (answer := await self._read()):
            yield answer
        self.at_rest = True

    async def end(self) -> None:
        """End the child: at once, but for a download, which gets a moment to remove what it has begun."""
        if self._fetching and self.alive:
            self._stdin.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TIDY_SECONDS):
                    await self._process.wait()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await reap(self._process)

    async def _read(self) -> dict[str, Any]:
        line = await self._stdout.readline()
        if not line.endswith(b"\n"):
            code = await self._process.wait()
            message = f"the speech engine ended with code {code} in the middle of its work"
            hint = "the machine may have too little memory: take a smaller model" if code == -9 else None
            raise BackendFailed(message, hint=hint, metadata={"exit_code": str(code), "phase": "running"})
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            reason, message, hint = answer["error"]
            raise BY_REASON[reason](message, hint=hint or None, metadata={"phase": "loading"})
        return answer


class Engines:
    """Engines that are loaded and wait for a call.

    Args:
        most: how many may be there at the same time; calls beyond that are the caller's to hold back.
        idle_seconds: one that waits for so long is ended; 0 never is.
    """

    def __init__(self, most: int, idle_seconds: float) -> None:
        self._most = most
        self._idle_seconds = idle_seconds
        self._waiting: dict[Engine, asyncio.TimerHandle | None] = {}
        self._lent = 0
        self._ending: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def lend(self, plan: Plan) -> AsyncGenerator[Engine]:
        """Lend an engine. One that is in the middle of its work in the end is ended, so that it stops."""
        self._lent += 1
        try:
            engine = await self._take(plan)
            try:
                yield engine
            finally:
                if engine.at_rest and engine.alive:
                    self._keep(engine)
                else:
                    await engine.end()
        finally:
            self._lent -= 1

    async def close(self) -> None:
        """End those that wait."""
        await asyncio.gather(*(self._drop(engine) for engine in list(self._waiting)), *self._ending)

    async def _take(self, plan: Plan) -> Engine:
        for engine in list(self._waiting):
            if engine.plan == plan and engine.alive:
                self._forget(engine)
                return engine
        while self._waiting and len(self._waiting) + self._lent > self._most:
            await self._drop(next(iter(self._waiting)))  # the memory is wanted for this one
        return await Engine.start(plan)

    def _keep(self, engine: Engine) -> None:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._idle_seconds, self._expire, engine) if self._idle_seconds else None
        self._waiting[engine] = timer

    def _expire(self, engine: Engine) -> None:
        task = asyncio.ensure_future(self._drop(engine))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _forget(self, engine: Engine) -> None:
        timer = self._waiting.pop(engine, None)
        if timer is not None:
            timer.cancel()

    async def _drop(self, engine: Engine) -> None:
        self._forget(engine)
        await engine.end()
