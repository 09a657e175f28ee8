"""Running a speech engine as a child process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from automarket.children import reap
from automarket.errors import BackendFailed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

_TAIL_BYTES = 2048


@asynccontextmanager
async def running(
    command: Sequence[str], folder: Path, *, stdin: int, stdout: int
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run a child in a session of its own, in `folder`; when the block is left it is gone.

    Raises:
        BackendFailed: the child ended with another code than 0; its last words are in the log lines.
    """
    errors = folder / "stderr.txt"
    with errors.open("wb") as stderr:
        start = asyncio.create_subprocess_exec(
            *command, cwd=folder, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
        )
        process = await _started(asyncio.ensure_future(start))
    try:
        yield process
        code = await process.wait()
    finally:
        await _end(process)
    if code != 0:
        raise _failed(command[0], code, errors)


async def _started(starting: asyncio.Future[asyncio.subprocess.Process]) -> asyncio.subprocess.Process:
    """Wait for a start. When that is cancelled asyncio kills the child alone; here its own children go with it."""
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await _end(await starting)
        raise


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the child's whole session, if it still runs."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await asyncio.shield(asyncio.ensure_future(reap(process)))  # to its end, even if it is cancelled once more


def _failed(command: str, code: int, errors: Path) -> BackendFailed:
    tail = errors.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace").strip()
    name = os.path.basename(command)  # noqa: PTH119 - a command, not a file to open
    return BackendFailed(
        f"the speech engine {name} ended with code {code}",
        metadata={"exit_code": str(code)},
        log_lines=tuple(tail.splitlines()[-10:]),
    )
