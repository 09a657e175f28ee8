"""The one place that runs FFmpeg.

It runs in a session of its own, under resource limits, without the environment's secrets, and it never outlives its
caller: it is killed when the block around it is left, and by the kernel when this process dies. What it may open is
said by the arguments that `automarket.media.graph` makes.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import shutil
import signal
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

from opentelemetry import trace

from automarket.children import reap
from automarket.errors import MediaLimit
from automarket.media.engine import find_ffmpeg
from automarket.media.explain import explain, tidy
from automarket.media.limits import DEFAULT_LIMITS, MediaLimits
from automarket.rpc.telemetry import mark_failed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

READ_BYTES = 256 * 1024
TAIL_BYTES = 64 * 1024

_COMMON = ("-nostdin", "-hide_banner", "-v", "error", "-y")
_STRICT = "-xerror"
_CUT = "File ended prematurely"  # FFmpeg says so of Matroska, and ends well nevertheless
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "FONTCONFIG_PATH", "FONTCONFIG_FILE")
_tracer = trace.get_tracer("automarket.media")


class Child:
    """A media program that runs. `stdin` and `stdout` are there when asked for."""

    def __init__(self, process: asyncio.subprocess.Process, arguments: Sequence[str], wall_seconds: float) -> None:
        self._process = process
        self._arguments = arguments
        self._tail = bytearray()
        self._errors = asyncio.ensure_future(self._read_errors())
        self._wall_seconds = wall_seconds
        self._overran = False
        self._clock = asyncio.get_running_loop().call_later(wall_seconds, self._overrun)

    @property
    def stdin(self) -> asyncio.StreamWriter:
        """Where its input goes."""
        assert self._process.stdin is not None  # noqa: S101 - whoever uses it has asked for it
        return self._process.stdin

    @property
    def stdout(self) -> asyncio.StreamReader:
        """Where its output comes from."""
        assert self._process.stdout is not None  # noqa: S101 - likewise
        return self._process.stdout

    @property
    def written(self) -> str:
        """The end of what it wrote to standard error so far."""
        return self._tail.decode("utf-8", "replace")

    async def finish(self) -> list[str]:
        """Wait for its end and give the lines that it wrote to standard error.

        Raises:
            MediaInvalid: the media is broken.
            MediaRefused: the media leads to something that is never opened.
            MediaLimit: the work went over a limit.
            DiskFull: there is no room for the result.
            EngineMissing: the program lacks a codec.
        """
        code = await self._process.wait()
        await self._errors
        lines = tidy(self.written, self._arguments)
        if self._overran:
            raise MediaLimit(f"working on the media took over {self._wall_seconds:.0f} s", log_lines=tuple(lines))
        if code != 0 or any(_CUT in line for line in lines):
            raise explain(code, lines)
        return lines

    async def end(self) -> None:
        """Make sure that it is gone."""
        self._clock.cancel()
        if self._process.returncode is None:
            self._kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        await asyncio.gather(reap(self._process), self._errors)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _overrun(self) -> None:
        self._overran = True
        self._kill()

    async def _read_errors(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 - always piped
        while data := await self._process.stderr.read(4096):
            self._tail += data
            del self._tail[:-TAIL_BYTES]


@asynccontextmanager
async def running(
    program: str,
    arguments: Sequence[str],
    *,
    limits: MediaLimits = DEFAULT_LIMITS,
    stdin: bool = False,
    stdout: bool = False,
    live: bool = False,
) -> AsyncGenerator[Child]:
    """Run a media program; when the block is left, however it is left, the program is gone.

    Args:
        program: the command.
        arguments: its arguments.
        limits: what it may cost.
        stdin: its standard input is written by the caller; else it is empty.
        stdout: its standard output is read by the caller; else it is thrown away.
        live: its input may come as slowly as it plays.
    """
    wall = limits.wall_seconds + (limits.max_seconds if live else 0)
    # Not made current: the block may be in a generator, which can be closed from another context.
    span = _tracer.start_span("ffmpeg", attributes={"process.executable.name": os.path.basename(program)})  # noqa: PTH119
    try:
        process = await asyncio.create_subprocess_exec(
            *_guards(limits),
            program,
            *arguments,
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if stdout else asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            limit=READ_BYTES,
        )
        child = Child(process, arguments, wall)
        try:
            yield child
        finally:
            await child.end()
    except BaseException as error:
        mark_failed(span, error)
        raise
    finally:
        span.end()


def _guards(limits: MediaLimits) -> list[str]:
    """Give what comes before the command: resource limits, and death with the parent. Both replace themselves by it."""
    guards: list[str] = []
    if prlimit := shutil.which("prlimit"):
        cpu = math.ceil(limits.wall_seconds * limits.threads) + 1
        sizes = (f"--as={limits.memory_bytes}", f"--fsize={limits.max_output_bytes}", f"--cpu={cpu}:{cpu + 1}")
        guards += [prlimit, *sizes, "--core=0"]
    if setpriv := shutil.which("setpriv"):
        guards += [setpriv, "--pdeathsig", "KILL", "--no-new-privs"]
    return guards


async def run_ffmpeg(arguments: Sequence[str], *, limits: MediaLimits = DEFAULT_LIMITS, strict: bool = True) -> None:
    """Run FFmpeg to its end.

    Args:
        arguments: what it reads and writes, as `automarket.media.graph.arguments_of` gives it.
        limits: what it may cost.
        strict: a fault in the media is an error, not something to be skipped (`automarket.media.lengths.ends_cleanly`).

    Raises:
        MediaInvalid, MediaRefused, MediaLimit, DiskFull, EngineMissing: as `Child.finish` does.
    """
    async with running(find_ffmpeg(), _command(arguments, strict=strict), limits=limits) as child:
        await child.finish()


def _command(arguments: Sequence[str], *, strict: bool) -> list[str]:
    return [*_COMMON, *([_STRICT] if strict else []), *arguments]


async def capture(
    program: str, arguments: Sequence[str], *, max_bytes: int = 1024 * 1024, limits: MediaLimits = DEFAULT_LIMITS
) -> bytes:
    """Run a media program to its end and give what it wrote to standard output. Raises as `Child.finish` does."""
    output = bytearray()
    async with running(program, arguments, limits=limits, stdout=True) as child:
        while data := await child.stdout.read(READ_BYTES):
            output += data
            if len(output) > max_bytes:
                raise MediaLimit(f"the media gave over {max_bytes:,} bytes where little was due")
        await child.finish()
    return bytes(output)


async def stream_ffmpeg(
    arguments: Sequence[str],
    chunks: AsyncIterator[bytes] | None = None,
    *,
    limits: MediaLimits = DEFAULT_LIMITS,
    strict: bool = True,
) -> AsyncGenerator[bytes]:
    """Run FFmpeg and give what it writes to pipe:1 as it comes, while `chunks` are written to its pipe:0.

    A slow reader slows FFmpeg, and a busy FFmpeg slows the source. Close it (`contextlib.aclosing`) when you stop
    early: then FFmpeg is gone at once. `strict` as for `run_ffmpeg`.

    Raises as `Child.finish` does, and what `chunks` raises.
    """
    command = _command(arguments, strict=strict)
    async with running(
        find_ffmpeg(), command, limits=limits, stdin=chunks is not None, stdout=True, live=chunks is not None
    ) as child:
        feeding = asyncio.ensure_future(_feed(child.stdin, chunks)) if chunks is not None else None
        try:
            async with aclosing(_outputs(child, feeding, limits)) as outputs:
                async for data in outputs:
                    yield data
            await child.finish()
            if feeding is not None:
                await feeding
        finally:
            if feeding is not None:
                feeding.cancel()
                await asyncio.wait([feeding])


async def _outputs(child: Child, feeding: asyncio.Future[None] | None, limits: MediaLimits) -> AsyncGenerator[bytes]:
    total = 0
    while data := await _read(child, feeding):
        total += len(data)
        if total > limits.max_output_bytes:
            raise MediaLimit(f"the result is over {limits.max_output_bytes:,} bytes")
        yield data


async def _read(child: Child, feeding: asyncio.Future[None] | None) -> bytes:
    """Read output; an error of the source ends the wait, since FFmpeg would take it for the end of its input."""
    if feeding is None:
        return await child.stdout.read(READ_BYTES)
    if not feeding.done():
        reading = asyncio.ensure_future(child.stdout.read(READ_BYTES))
        try:
            await asyncio.wait([reading, feeding], return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                feeding.result()
            return await reading
        finally:
            reading.cancel()
            await asyncio.wait([reading])
    feeding.result()
    return await child.stdout.read(READ_BYTES)


async def _feed(stdin: asyncio.StreamWriter, chunks: AsyncIterator[bytes]) -> None:
    """Write all chunks. FFmpeg may have enough before the end; the rest is taken and thrown away."""
    open_ = True
    async for chunk in chunks:
        if not open_:
            continue
        try:
            stdin.write(chunk)
            await stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            open_ = False
    stdin.close()
