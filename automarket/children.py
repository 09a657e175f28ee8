"""The end of a child process whose output comes through a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio.subprocess import Process

_READ_BYTES = 256 * 1024


async def reap(process: Process) -> int:
    """Wait for the end of a child that was killed or ends by itself; give its exit code.

    What is left in its pipe is read and thrown away. asyncio sees the end of a process only after that of its pipes,
    and a pipe of which more was kept than anybody took is not read any more: whoever only waits, waits for ever.
    """
    while process.stdout is not None and await process.stdout.read(_READ_BYTES):
        pass
    return await process.wait()
