"""One child process that is kept running: started, waited for, started again after it ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from automarket.cli.up.logfile import LogFile
from automarket.rpc import metrics

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

START_SECONDS = 30.0
STEADY_SECONDS = 10.0
FIRST_DELAY = 0.1
LONGEST_DELAY = 15.0


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run.

    Attributes:
        name: names the process and its log.
        command: program and arguments.
        ready: waits until the process, given by its pid, takes work.
    """

    name: str
    command: tuple[str, ...]
    ready: Callable[[int], Awaitable[None]]


class ChildState(StrEnum):
    """What became of a child."""

    READY = "ready"  # it takes work
    FAILED = "failed"  # it ended before it took work, or never did
    ENDED = "ended"  # it took work and ended unasked
    STOPPED = "stopped"  # it was asked to end


@dataclass(frozen=True, slots=True)
class ChildEvent:
    """Something that happened to a child.

    Attributes:
        name: the child.
        state: what became of it.
        pid: its process.
        why: how it ended, in words; empty while it runs.
        delay: seconds until it is started again; None when it is not.
        log_lines: its last words, when it failed.
    """

    name: str
    state: ChildState
    pid: int
    why: str = ""
    delay: float | None = None
    log_lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What children share: environment, working folder, log folder, and descriptors that they inherit.

    Each child has a folder of its own for temporary files below the working folder, emptied before it starts: what one
    that was killed left there is gone.
    """

    environment: Mapping[str, str]
    folder: Path
    logs: Path
    descriptors: Sequence[int] = ()


def delay_after(failures: int) -> float:
    """Give the seconds to wait before the next start, after so many quick ends in a row."""
    return min(FIRST_DELAY * 2 ** min(max(failures - 1, 0), 30), LONGEST_DELAY)


def how_it_ended(process: Process) -> str:
    """Say in words how a process ended."""
    code = process.returncode
    if code is None:
        return f"it took no work within {START_SECONDS:.0f} s"
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


class Child:
    """Keeps one child process running until it is stopped.

    Args:
        spec: what to run.
        surroundings: what it shares with the others.
        report: gets what happens.
    """

    def __init__(self, spec: ChildSpec, surroundings: Surroundings, report: Callable[[ChildEvent], None]) -> None:
        self.spec = spec
        self.log = LogFile(surroundings.logs / f"{spec.name}.log")
        self._surroundings = surroundings
        self._report = report
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._first: asyncio.Future[ChildEvent] = asyncio.get_running_loop().create_future()

    async def start(self) -> ChildEvent:
        """Begin to keep it running; give how the first start went."""
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.spec.name}")
        await asyncio.wait({self._keeper, self._first}, return_when=asyncio.FIRST_COMPLETED)
        if not self._first.done():
            await self._keeper  # it raises why the program could not be run at all
        return await self._first

    async def stop(self, grace: float) -> None:
        """End it: ask, and after `grace` seconds kill. Harmless when it does not run."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        process = self._process
        if process is None:  # it had ended, and was to be started again
            return
        if process.returncode is None:
            _signal(process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), grace)
        await self._reap(process)
        self._report(ChildEvent(self.spec.name, ChildState.STOPPED, process.pid, how_it_ended(process)))

    async def _keep(self) -> None:
        failures = 0
        while True:
            begin = time.monotonic()
            process = await self._spawn()
            ready = await self._until_ready(process)
            if ready:
                self._tell(ChildEvent(self.spec.name, ChildState.READY, process.pid))
                await process.wait()
            why = how_it_ended(process)
            await self._reap(process)
            self._process = None
            # Exit code 0 is an end in order: somebody asked for it, and it says nothing against the next start.
            steady = process.returncode == 0 or time.monotonic() - begin > STEADY_SECONDS
            failures = 0 if ready and steady else failures + 1
            delay = delay_after(failures)
            state = ChildState.ENDED if ready else ChildState.FAILED
            words = await asyncio.to_thread(self.log.tail)
            self._tell(ChildEvent(self.spec.name, state, process.pid, why, delay, words))
            await asyncio.sleep(delay)
            metrics.child_restarts.add(1, {"child": self.spec.name})

    async def _spawn(self) -> Process:
        log = await asyncio.to_thread(self.log.open)
        scratch = self._surroundings.folder / "tmp" / self.spec.name
        await asyncio.to_thread(_empty, scratch)
        try:
            # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which then stops in order.
            self._process = await asyncio.create_subprocess_exec(
                *self.spec.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._surroundings.folder,
                env={**self._surroundings.environment, "TMPDIR": str(scratch)},
                pass_fds=tuple(self._surroundings.descriptors),
                start_new_session=True,
            )
        finally:
            os.close(log)
        return self._process

    async def _until_ready(self, process: Process) -> bool:
        """Wait until it takes work; False when it ended before, or took too long."""
        ready = asyncio.ensure_future(self.spec.ready(process.pid))
        ended = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({ready, ended}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            return ready.done() and not ended.done() and ready.exception() is None
        finally:
            ready.cancel()
            ended.cancel()
            await asyncio.wait({ready, ended})

    async def _reap(self, process: Process) -> None:
        """See that nothing of it is left, not even programs that it started in its own session."""
        _signal(process.pid, signal.SIGKILL)
        await process.wait()

    def _tell(self, event: ChildEvent) -> None:
        self._report(event)
        if not self._first.done():
            self._first.set_result(event)


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
