"""A provider server on stock `grpc.aio` that passes bytes as they are: what it does is said in a call's metadata.

`do` names the work; see RawCalls. As a process: python -m tests.support.raw_peer --listen ... --registry ... --id ...
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from automarket.rpc.process import run_server
from tests.support.peer import Peer, model

if TYPE_CHECKING:
    from collections.abc import Callable

TRANSFORM = "/automarket.v1.ModelService/Transform"
GENERATE = "/automarket.v1.ModelService/Generate"
GET_MODEL = "/automarket.v1.ModelService/GetModel"
WIDE = (("grpc.max_metadata_size", 16384), ("grpc.max_receive_message_length", -1))
DETAILS = "grpc-status-details-bin"


def piece(number: int, size: int) -> bytes:
    """Give a message of `size` bytes that differs from its neighbours; the same for the same number."""
    return hashlib.shake_128(number.to_bytes(8, "big")).digest(min(size, 64)).ljust(size, b".")


class Tally:
    """Counts messages and bytes, and knows their digest."""

    def __init__(self) -> None:
        self.messages = self.bytes = 0
        self._digest = hashlib.sha256()

    def add(self, data: bytes) -> None:
        self.messages += 1
        self.bytes += len(data)
        self._digest.update(data)

    def words(self) -> bytes:
        return f"{self.messages} {self.bytes} {self._digest.hexdigest()}".encode()


def tally_of(pieces) -> bytes:
    """Give what a `sink` answers when it gets these."""
    tally = Tally()
    for data in pieces:
        tally.add(data)
    return tally.words()


class RawCalls(grpc.GenericRpcHandler):
    """Answers every method of ModelService.

    echo: each message back as it came. sink: reads all, answers with a tally. flood: `count` messages of `size` bytes.
    deaf: answers once and reads nothing until a call asks to `release` it, then as sink; `seize` undoes that. hang:
    answers once, then nothing. wait: initial metadata, then nothing. time: the time left. status: ends with `code` and
    `message-bin`, after `count` messages. reflect: gives every `x-` key back as initial metadata and as trailer.
    headers: answers with the metadata it got. who: answers with its name.
    """

    def __init__(self, name: str, note: Callable[[str], None]) -> None:
        self.name = name
        self._note = note
        self.released = asyncio.Event()

    def service(self, handler_call_details):
        method = handler_call_details.method
        _die_where_asked("headers", dict(handler_call_details.invocation_metadata))
        if method == TRANSFORM:
            return grpc.stream_stream_rpc_method_handler(self._transform)
        if method == GENERATE:
            return grpc.unary_stream_rpc_method_handler(self._generate)
        return grpc.unary_unary_rpc_method_handler(self._get_model) if method == GET_MODEL else None

    async def _get_model(self, request, context):
        answers = [answer async for answer in self._generate(request, context)]
        return b"".join(answers)

    async def _generate(self, request, context):
        async def one():
            yield request

        async for answer in self._transform(one(), context):
            yield answer

    async def _transform(self, requests, context):
        asked = dict(context.invocation_metadata())
        do = asked.get("do", "echo")
        if asked.get("gzip"):
            context.set_compression(grpc.Compression.Gzip)
        self._note(f"begun {do}")
        try:
            async for answer in getattr(self, f"_{do}")(_watched(requests, asked), context, asked):
                yield answer
                _die_where_asked("response", asked)
            self._note(f"ended {do}")
        except BaseException as error:
            self._note(f"{type(error).__name__} {do}")
            raise

    async def _who(self, requests, context, asked):
        async for _ in requests:
            pass
        yield self.name.encode()

    async def _headers(self, requests, context, asked):
        yield "\n".join(f"{key}={value}" for key, value in context.invocation_metadata()).encode()

    async def _echo(self, requests, context, asked):
        await context.send_initial_metadata((("peer", self.name),))
        async for message in requests:
            yield message

    async def _sink(self, requests, context, asked):
        await context.send_initial_metadata((("peer", self.name),))
        tally = Tally()
        async for message in requests:
            tally.add(message)
        yield tally.words()

    async def _flood(self, requests, context, asked):
        for number in range(int(asked["count"])):
            yield piece(number, int(asked["size"]))
            self._note(f"wrote {number + 1}")

    async def _deaf(self, requests, context, asked):
        yield b"begun"
        await self.released.wait()
        async for answer in self._sink_quietly(requests):
            yield answer

    async def _sink_quietly(self, requests):
        tally = Tally()
        async for message in requests:
            tally.add(message)
        yield tally.words()

    async def _release(self, requests, context, asked):
        self.released.set()
        yield b"released"

    async def _seize(self, requests, context, asked):
        self.released.clear()
        yield b"seized"

    async def _hang(self, requests, context, asked):
        yield b"begun"
        await asyncio.sleep(60)

    async def _wait(self, requests, context, asked):
        await context.send_initial_metadata(())
        await asyncio.sleep(60)
        yield

    async def _time(self, requests, context, asked):
        async for _ in requests:
            break
        yield f"{context.time_remaining()}".encode()

    async def _status(self, requests, context, asked):
        for number in range(int(asked.get("count", "0"))):
            yield piece(number, 100)
        if DETAILS.removeprefix("grpc-") in asked:
            context.set_trailing_metadata(((DETAILS, asked["status-details-bin"]),))
        await context.abort(grpc.StatusCode[asked["code"]], asked.get("message-bin", b"").decode())

    async def _reflect(self, requests, context, asked):
        given = tuple((key, value) for key, value in context.invocation_metadata() if key.startswith("x-"))
        await context.send_initial_metadata(given)
        context.set_trailing_metadata(given)
        async for message in requests:
            yield message


async def _watched(requests, asked):
    """Give the requests as they come; end this process among them where the call asks for it."""
    count = 0
    async for message in requests:
        _die_where_asked("message", asked)
        count += len(message)
        if count >= 300_000:
            _die_where_asked("upload", asked)
        yield message


def _die_where_asked(where: str, asked) -> None:
    """End this process at once if the call asks for that here, and nobody has died of this call before."""
    if asked.get("die-at") == where:
        try:
            os.close(os.open(asked["die-once"], os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


class StockServer:
    """A `grpc.aio` server as anybody would make it."""

    def __init__(self, address: str, calls: RawCalls) -> None:
        self.grpc = grpc.aio.server(options=WIDE)
        self.grpc.add_generic_rpc_handlers((calls,))
        self.grpc.add_insecure_port(address)

    async def start(self) -> None:
        await self.grpc.start()

    async def drain(self, grace: float) -> None:
        await self.grpc.stop(grace)


class RawPeer(Peer):
    """A provider server that passes bytes, and stays registered with one control."""

    def make_server(self, address, name, note):
        self.calls = RawCalls(name, note)
        return StockServer(address, self.calls)


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in ("listen", "registry", "id", "instance", "notes", "model"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--replay-safe", action="store_true")
    given = parser.parse_args()

    def note(text: str) -> None:
        with Path(given.notes).open("a") as file:
            file.write(f"{time.time():.3f} {text}\n")

    async def run(stop: asyncio.Event) -> None:
        described = {"provider_id": given.id, "instance_id": given.instance}
        described["models"] = [model(given.model, replay_safe=given.replay_safe)]
        described["generation"] = int(time.time() * 1000)
        async with RawPeer(given.listen, given.registry, note, **described):
            await stop.wait()

    return run_server("raw-peer", run)


if __name__ == "__main__":
    raise SystemExit(main())
