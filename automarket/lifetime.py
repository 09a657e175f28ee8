"""The life of a server process: signals, and an end when its parent ends.

The parent holds the write end of a pipe whose read end the child inherits; the pipe closes when the parent ends,
however it ends. (Linux's parent-death signal follows the thread that started the child, not the process.)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PARENT_VARIABLE = "AUTOMARKET_PARENT_FD"
HARD_STOP_SECONDS = 5.0


def parent_pipe() -> tuple[int, int]:
    """Make the pipe; its ends are inherited by nobody by themselves.

    The read end goes to children, by `pass_fds` and its number in the variable PARENT_VARIABLE; the write end stays
    here, open for as long as the children are to live.
    """
    return os.pipe()


def run(
    name: str,
    main: Callable[[asyncio.Event], Awaitable[None]],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> int:
    """Run `main` until it returns; SIGTERM, SIGINT or the parent's end set the event that it waits for.

    Gives the exit code: 0, or 1 after an error, which is written to standard error in a sentence.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold keys and media
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(_run(main))
    except AutoMarketError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 1
    return 0


async def _run(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Taken out of the environment: the number means nothing to the processes that this one starts.
    parent = os.environ.pop(PARENT_VARIABLE, None)
    if parent is not None:
        threading.Thread(target=_watch_parent, args=(int(parent), loop, stop), daemon=True).start()
    await main(stop)


def _watch_parent(pipe: int, loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Wait for the parent's end, ask for a graceful stop, and end the process if that takes too long."""
    while os.read(pipe, 1):
        pass
    with contextlib.suppress(RuntimeError):  # the loop has been closed: the process is about to end
        loop.call_soon_threadsafe(stop.set)
    time.sleep(HARD_STOP_SECONDS)
    os._exit(1)
