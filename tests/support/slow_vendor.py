"""A vendor whose work takes as long as a test wants: an HTTP server that writes down what it is paid for.

It lives in the process of the test, so that it outlasts whatever the test kills.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
import zlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Iterable


def png(width: int = 64, height: int = 64) -> bytes:
    """Give a grey picture."""
    rows = b"".join(b"\x00" + b"\x80" * width for _ in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PICTURE = png()


@dataclass
class Order:
    """One thing that somebody pays for."""

    id: str
    key: str
    cancelled: bool = False
    polls: int = 0


@dataclass
class SlowVendor:
    """The vendor.

    Attributes:
        ledger: every submit that it took, in order.
        holds: stages at which whoever gets there has to wait, until the stage is taken out; or with a key, the one
            request that has to.
        reached: stages that a request came to while they were held, with the key of the request.
        can_look_up: it finds what was submitted by the caller's key.
        can_cancel: it has a cancel.
        refusals: statuses that the next submits are answered with, nothing being taken.
        busy: how many orders are worked on now, and were at most.
    """

    ledger: list[Order] = field(default_factory=list)
    holds: set[str | tuple[str, str]] = field(default_factory=set)
    reached: set[tuple[str, str]] = field(default_factory=set)
    can_look_up: bool = True
    can_cancel: bool = True
    refusals: list[int] = field(default_factory=list)
    working: set[str] = field(default_factory=set)
    most_working: int = 0
    polls_until_done: int = 2
    address: str = ""

    def paid(self, key: str) -> int:
        """Give how often a request was paid for."""
        return sum(order.key == key for order in self.ledger)

    def order(self, key: str) -> Order:
        return next(order for order in self.ledger if order.key == key)

    async def until_reached(self, stage: str, keys: Iterable[str], timeout: float = 20.0) -> None:
        """Wait until all of these requests are at a stage that is held."""
        wanted = {(stage, key) for key in keys}
        async with asyncio.timeout(timeout):
            while not wanted <= self.reached:  # noqa: ASYNC110 - whoever waits is in another process
                await asyncio.sleep(0.01)

    def _is_held(self, stage: str, key: str) -> bool:
        if stage in self.holds or (stage, key) in self.holds:
            self.reached.add((stage, key))
            return True
        return False

    def release(self, *stages: str) -> None:
        self.holds -= set(stages) or set(self.holds)

    async def _hold(self, stage: str, key: str) -> None:
        while self._is_held(stage, key):  # noqa: ASYNC110 - a set has no event
            await asyncio.sleep(0.01)

    def _find(self, order_id: str) -> Order:
        for order in self.ledger:
            if order.id == order_id:
                return order
        raise web.HTTPNotFound

    async def _gate(self, request: web.Request) -> web.Response:
        await self._hold(request.match_info["stage"], request.query["key"])
        return web.Response()

    async def _submit(self, request: web.Request) -> web.Response:
        key = (await request.json())["key"]
        if self.refusals:
            return web.Response(status=self.refusals.pop(0))
        order = Order(f"order-{next(_NUMBERS)}", key)
        self.ledger.append(order)
        self.working.add(order.id)
        self.most_working = max(self.most_working, len(self.working))
        await self._hold("submitted", key)
        return web.json_response({"id": order.id})

    async def _look_up(self, request: web.Request) -> web.Response:
        if not self.can_look_up:
            raise web.HTTPMethodNotAllowed("GET", [])
        for order in self.ledger:
            if order.key == request.query["key"]:
                return web.json_response({"id": order.id})
        raise web.HTTPNotFound

    async def _state(self, request: web.Request) -> web.Response:
        order = self._find(request.match_info["id"])
        for state in ("queued", "running"):
            if self._is_held(state, order.key):
                return web.json_response({"state": state, "position": 3})
        order.polls += 1
        if order.cancelled:
            return web.json_response({"state": "cancelled"})
        done = order.polls > self.polls_until_done
        return web.json_response({"state": "done" if done else "running"})

    async def _cancel(self, request: web.Request) -> web.Response:
        if not self.can_cancel:
            return web.Response(status=405)
        order = self._find(request.match_info["id"])
        if order.polls > self.polls_until_done:
            return web.Response(status=409)
        order.cancelled = True
        self.working.discard(order.id)
        return web.Response()

    async def _result(self, request: web.Request) -> web.StreamResponse:
        order = self._find(request.match_info["id"])
        self.working.discard(order.id)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(PICTURE[:100])
        await self._hold("downloading", order.key)
        await response.write(PICTURE[100:])
        return response

    @asynccontextmanager
    async def serving(self):
        """Serve for the time of the block."""
        app = web.Application()
        app.router.add_get("/gate/{stage}", self._gate)
        app.router.add_post("/orders", self._submit)
        app.router.add_get("/orders", self._look_up)
        app.router.add_get("/orders/{id}", self._state)
        app.router.add_post("/orders/{id}/cancel", self._cancel)
        app.router.add_get("/orders/{id}/result", self._result)
        runner = web.AppRunner(app, handler_cancellation=False, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.address = "http://{}:{}".format(*runner.addresses[0][:2])
        try:
            yield self
        finally:
            self.release()
            await runner.cleanup()


_NUMBERS = itertools.count(1)
