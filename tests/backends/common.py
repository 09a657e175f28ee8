"""What the backends of the tests share: a log of requests on stdout, and misbehaviour on demand.

An app ends in `serve(app, port=9000)`. Faults come from the variable TEST_FAULTS (JSON) at the start and from
`POST /test/faults` (JSON; what is not named is as by default, so `{}` ends all faults). Faults of a request hit POST
requests only: probes pass.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import secrets
import signal
import sys
import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from fastapi import FastAPI

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

_numbers = itertools.count(1)
_request: ContextVar[int] = ContextVar("request", default=0)
_write = threading.Lock()


@dataclass
class Faults:
    """What goes wrong from now on.

    Attributes:
        start_seconds: before the port opens, as a model that loads.
        fill: a folder that gets a file of `fill_bytes` at the start, as a downloaded model; a full disk ends the start.
        never_healthy: every request but those to /test is answered 503.
        path: faults of a request hit only paths that start so.
        times: how many requests are hit; None is all of them.
        delay_seconds: before a request is handled. The others go on meanwhile.
        status: the answer instead of the real one, as 503.
        garbage: the answer is 200 and bytes that mean nothing.
        half: half of the answer's first piece, then the connection closes.
        crash_seconds: the process ends with code 70 so long after the request came.
        eat_memory: memory is taken until the kernel ends the process; where nothing limits it, it ends with code 137.
    """

    start_seconds: float = 0
    fill: str = ""
    fill_bytes: int = 256 * 1024 * 1024
    never_healthy: bool = False
    path: str = "/"
    times: int | None = None
    delay_seconds: float = 0
    status: int = 0
    garbage: bool = False
    half: bool = False
    crash_seconds: float | None = None
    eat_memory: bool = False


faults = Faults()


def note(event: str, **details: object) -> None:
    """Write one line of the log; `id` is the request's that runs here, in a thread of `asyncio.to_thread`, too."""
    line = {"at": time.time(), "event": event, "id": _request.get(), **details}
    with _write:
        print(json.dumps(line), flush=True)  # noqa: T201 - the log is what this prints


class _CutShort(Exception):
    """Ends a request whose answer was begun: the server sees that it is not complete and closes the connection."""


class Observed:
    """An app whose requests are logged, and which misbehaves as told."""

    def __init__(self, app: Callable[[Any, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] == "/test/faults":
            await _change_faults(receive, send)
        elif faults.never_healthy:
            await _answer(send, 503, b"not ready")
        else:
            await self._logged(scope, receive, send)

    async def _logged(self, scope: Message, receive: Receive, send: Send) -> None:
        _request.set(next(_numbers))
        sent = 0
        status = 0

        async def counting(message: Message) -> None:
            nonlocal sent, status
            status = message.get("status", status)
            sent += len(message.get("body", b""))
            await send(message)

        note("begin", method=scope["method"], path=scope["path"], query=scope["query_string"].decode())
        begun = time.monotonic()
        error = ""
        try:
            await self._handle(scope, receive, counting)
        except _CutShort:
            error = "cut short"
        except asyncio.CancelledError:
            error = "cancelled"
            raise
        except Exception as raised:
            error = repr(raised)
            raise
        finally:
            seconds = round(time.monotonic() - begun, 4)
            note(
                "end",
                method=scope["method"],
                path=scope["path"],
                status=status,
                sent=sent,
                seconds=seconds,
                error=error,
            )

    async def _handle(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST" or not scope["path"].startswith(faults.path) or faults.times == 0:
            await self._app(scope, receive, send)
            return
        if faults.times is not None:
            faults.times -= 1
        if faults.crash_seconds is not None:
            threading.Timer(faults.crash_seconds, _crash).start()
        if faults.eat_memory:
            threading.Thread(target=_eat_memory, daemon=True).start()
        status, garbage, half = faults.status, faults.garbage, faults.half
        await asyncio.sleep(faults.delay_seconds)
        if status or garbage:
            await _swallow(receive)
            await _answer(send, status or 200, secrets.token_bytes(1000) if garbage else b'{"error":"told to fail"}')
        else:
            await self._app(scope, receive, _half(send) if half else send)


def serve(app: FastAPI, *, port: int) -> None:
    """Run an app as the command line and TEST_FAULTS say, until the process is told to end."""
    import uvicorn

    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=port)
    args = parser.parse_args()
    _set_faults(json.loads(os.environ.get("TEST_FAULTS") or "{}"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a container's first process ignores it otherwise
    note("start", faults=os.environ.get("TEST_FAULTS", ""))
    if faults.fill:
        _fill(Path(faults.fill), faults.fill_bytes)
    time.sleep(faults.start_seconds)
    note("listen", port=args.port)
    uvicorn.run(Observed(app), host=args.host, port=args.port, access_log=False, log_level="warning")


def _set_faults(given: dict[str, Any]) -> None:
    for name, value in vars(Faults(**given)).items():
        setattr(faults, name, value)


async def _change_faults(receive: Receive, send: Send) -> None:
    try:
        _set_faults(json.loads(await _swallow(receive) or b"{}"))
    except (TypeError, ValueError) as error:
        await _answer(send, 422, str(error).encode())
    else:
        note("faults", faults=vars(faults))
        await _answer(send, 200, json.dumps(vars(faults)).encode())


async def _swallow(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/octet-stream")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _half(send: Send) -> Send:
    async def cutting(message: Message) -> None:
        body = message.get("body", b"")
        if not body:
            await send(message)
            return
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await asyncio.sleep(0.05)  # what was sent leaves before the connection closes
        raise _CutShort

    return cutting


def _crash() -> None:
    note("crash")
    print("fatal: told to crash", file=sys.stderr, flush=True)  # noqa: T201 - the last words of a container's log
    os._exit(70)


def _eat_memory() -> None:
    note("eat_memory")
    if _memory_limit() is None:
        os._exit(137)
    eaten: list[bytes] = []
    while True:
        eaten.append(b"x" * 16 * 1024 * 1024)


def _memory_limit() -> int | None:
    """Give the bytes that this container may take; None where nothing limits it."""
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with_limit = Path(path)
        text = with_limit.read_text().strip() if with_limit.exists() else "max"
        if text != "max" and int(text) < 2**50:
            return int(text)
    return None


def _fill(folder: Path, size: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "model.bin").open("wb") as file:
        for _ in range(0, size, 1024 * 1024):
            file.write(bytes(1024 * 1024))
    note("filled", path=str(folder), size=size)
