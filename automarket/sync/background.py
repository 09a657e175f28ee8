"""The event loop in a thread of its own that synchronous calls run in."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from automarket.errors import CallCancelled, StateError

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

STOP_SECONDS = 2.0

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in the background loop and wait for it; Ctrl-C cancels it.

    Raises:
        CallCancelled: it was cancelled, such as by closing its mesh.
        StateError: it was called from within the background loop, which would wait for itself for ever.
    """
    loop = _running_loop()
    if threading.current_thread() is _thread:
        coroutine.close()
        raise StateError("automarket.sync was called from its own event loop", hint="await the coroutine there")
    ended = threading.Event()
    future = asyncio.run_coroutine_threadsafe(_noted(coroutine, ended), loop)
    try:
        return future.result()
    except concurrent.futures.CancelledError:
        raise CallCancelled("the call was cancelled") from None
    except BaseException:
        if future.cancel():  # what it holds can be used again, or closed, once it has let go of it
            ended.wait(STOP_SECONDS)
        raise


async def _noted(coroutine: Coroutine[Any, Any, T], ended: threading.Event) -> T:
    try:
        return await coroutine
    finally:
        ended.set()


def _running_loop() -> asyncio.AbstractEventLoop:
    global _loop, _thread  # noqa: PLW0603 - one background loop a process is the point
    with _lock:
        if _loop is None or _thread is None or not _thread.is_alive():
            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_loop.run_forever, name="automarket-sync", daemon=True)
            _thread.start()
            atexit.register(_stop, _loop, _thread)
        return _loop


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    """Cancel what runs and end the loop, so that nothing runs while the interpreter is taken down."""
    if not thread.is_alive():
        return
    ended = asyncio.run_coroutine_threadsafe(_cancel_all(), loop)
    with contextlib.suppress(TimeoutError):
        ended.result(STOP_SECONDS)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(STOP_SECONDS)
    if not thread.is_alive():
        loop.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
