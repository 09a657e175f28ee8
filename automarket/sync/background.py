"""The event loop in a thread of its own that synchronous calls run in."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

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
    running = _Running(coroutine, loop)
    try:
        return running.result()
    except BaseException:
        running.cancel()
        running.let_go()
        raise


class _Running(Generic[T]):
    """A coroutine that runs in the background loop."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> None:
        self._coroutine = coroutine
        self._ended = threading.Event()
        self._future = asyncio.run_coroutine_threadsafe(self._run(), loop)

    async def _run(self) -> T:
        try:
            return await self._coroutine
        finally:
            self._ended.set()

    def result(self) -> T:
        """Wait for its end. Raises CallCancelled when it was cancelled."""
        try:
            return self._future.result()
        except concurrent.futures.CancelledError:
            self.let_go()
            raise CallCancelled("the call was cancelled") from None

    def cancel(self) -> None:
        """Cancel it, unless it has ended."""
        self._future.cancel()

    def let_go(self) -> None:
        """Wait until what was cancelled has ended: what it holds can be used again, or closed, only then."""
        if self._future.cancelled():
            self._ended.wait(STOP_SECONDS)


class Stopper:
    """Makes Ctrl-C cancel what is waited for within the block, instead of raising KeyboardInterrupt anywhere in it.

    Use it as `with Stopper() as stop`, in the main thread; what is to stop is waited for by `stop.wait`.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._waiting: _Running[Any] | None = None

    def __enter__(self) -> Self:
        """Take Ctrl-C."""
        self._before = signal.signal(signal.SIGINT, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave Ctrl-C to whoever had it."""
        signal.signal(signal.SIGINT, self._before)

    def _stop(self, *_: object) -> None:
        self.stopped = True
        if self._waiting is not None:
            self._waiting.cancel()

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the background loop and wait for it.

        Raises:
            CallCancelled: Ctrl-C was pressed, now or before.
        """
        if self.stopped:
            coroutine.close()
            raise CallCancelled("stopped")
        self._waiting = running = _Running(coroutine, _running_loop())
        if self.stopped:
            running.cancel()
        try:
            return running.result()
        finally:
            self._waiting = None


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
