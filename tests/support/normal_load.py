"""What a gateway does on a normal day: calls of all kinds that never stop, each checked to the last byte.

As a process: python -m tests.support.normal_load ADDRESS PROVIDER...; it writes a line for each call that ended,
"ok" or "lost" and why. SIGTERM lets calls under way end and ends it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading

from automarket.errors import AutoMarketError
from automarket.rpc.channel import errors_mapped, open_channel
from automarket.v1 import model_service_pb2
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from tests.support.gateway import chunk, header, transform

WORKERS = 8
PIECE = 64 * 1024
# The machine is shared with attacker, gateway and providers: the load is steady, not all that there is.
PAUSE_SECONDS = 0.05
DEADLINE_SECONDS = 20


async def _chunks(pieces):
    for number, piece in enumerate(pieces):
        yield chunk(piece, number * PIECE)


async def _echo(channel, provider: str, number: int) -> None:
    pieces = [os.urandom(PIECE) for _ in range(4)]
    metadata = (("automarket-provider", provider),) if number % 2 else ()
    given = await transform(
        channel,
        header(provider=provider),
        metadata=metadata,
        chunks=_chunks(pieces),
        timeout=DEADLINE_SECONDS,
    )
    echoed = [one.event.output_chunk.data for one in given if one.event.HasField("output_chunk")]
    assert echoed == pieces, f"{len(echoed)} pieces of {len(pieces)}"
    assert given[-1].event.HasField("finished")


async def _ask(channel, provider: str) -> None:
    request = model_service_pb2.GetModelRequest()
    request.target.provider = provider
    with errors_mapped():
        answer = await ModelServiceStub(channel).GetModel(request, timeout=DEADLINE_SECONDS)
    assert answer.model.id.startswith(provider), answer.model.id


async def _work(channel, providers: list[str], worker: int, stop: asyncio.Event) -> None:
    number = worker
    while not stop.is_set():
        provider = providers[number % len(providers)]
        try:
            await (_echo(channel, provider, number) if number % 3 else _ask(channel, provider))
            line = "ok"
        except (AutoMarketError, AssertionError) as error:
            line = f"lost {provider} {type(error).__name__}: {error}".replace("\n", " ")
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        number += 1
        await asyncio.sleep(PAUSE_SECONDS)


async def _main(address: str, providers: list[str]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with open_channel(address) as channel:
        await asyncio.gather(*(_work(channel, providers, worker, stop) for worker in range(WORKERS)))


class NormalLoad:
    """The load as a process of its own, seen from a test."""

    def __init__(self, address: str, providers: list[str], root: str) -> None:
        command = [sys.executable, "-m", "tests.support.normal_load", address, *providers]
        self._process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
        self._changed = threading.Condition()
        self.ended = 0
        self.lost: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            with self._changed:
                self.ended += 1
                if not line.startswith("ok"):
                    self.lost.append(line.strip())
                self._changed.notify_all()

    def wait(self, calls: int, timeout: float = 30) -> None:
        """Wait until so many calls more have ended."""
        with self._changed:
            goal = self.ended + calls
            if not self._changed.wait_for(lambda: self.ended >= goal, timeout):
                raise AssertionError(f"the load stands still: {self.ended} calls of {goal} after {timeout} s")

    def take_lost(self) -> list[str]:
        """Give the calls that were lost since this was asked last, so that each is told once and none is missed."""
        with self._changed:
            lost, self.lost = self.lost, []
        return lost

    def stop(self) -> None:
        """Let the calls under way end, and end."""
        self._process.terminate()
        self._process.wait(DEADLINE_SECONDS + 5)
        self._reader.join(5)
        self._process.stdout.close()

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(5)
        self._process.stdout.close()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2:]))
