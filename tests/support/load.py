"""Calls that go on all the time beside a test, and peers that answer them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from automarket.client.mesh import connect
from automarket.errors import AutoMarketError
from automarket.rpc.channel import errors_mapped, open_channel
from automarket.v1 import model_service_pb2
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from tests.support.gateway import chunk, header, transform

ROOT = Path(__file__).resolve().parent.parent.parent
CHUNK = b"0123456789" * 100


@asynccontextmanager
async def peer_running(running, provider_id="one"):
    """Run a provider server of tests/support/peer.py beside a mesh; give its process."""
    folder = running.data_dir
    command = [sys.executable, "-m", "tests.support.peer", "--id", provider_id, "--instance", f"{provider_id}-1"]
    command += ["--listen", f"unix:{folder}/peer-{provider_id}.sock", "--registry", f"unix:{folder}/run/control.sock"]
    command += ["--notes", str(folder / f"{provider_id}.notes")]
    with (folder / f"{provider_id}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=log, stderr=log)
    try:
        await until_registered(running.address, provider_id)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def until_registered(address, provider_id, seconds=15.0):
    """Wait until a mesh has an instance of a provider."""
    async with asyncio.timeout(seconds), connect(address) as mesh:
        while True:
            with contextlib.suppress(AutoMarketError):
                if any(info.id == provider_id and info.instances for info in await mesh.providers()):
                    return
            await asyncio.sleep(0.05)


@dataclass(slots=True)
class Load:
    """What became of the calls: how many came to a good end, and what went wrong, with the time."""

    calls: int = 0
    failures: list[tuple[float, AutoMarketError]] = field(default_factory=list)

    async def more(self, count=100, seconds=30.0):
        """Wait until so many more calls have ended well."""
        wanted = self.calls + count
        async with asyncio.timeout(seconds):
            while self.calls < wanted:  # noqa: ASYNC110 - many tasks count
                await asyncio.sleep(0.01)

    async def keep(self, address, provider_id):
        """Call over a connection of its own, unary calls and streams in turn, until cancelled."""
        async with open_channel(address) as channel:
            while True:
                for call in (ask, echo):
                    await self._count(call(channel, provider_id))

    async def connect_anew(self, address, provider_id):
        """Make every call over a new connection, until cancelled."""
        while True:
            async with open_channel(address) as channel:
                await self._count(ask(channel, provider_id))

    async def _count(self, call):
        try:
            await call
            self.calls += 1
        except AutoMarketError as error:
            self.failures.append((time.monotonic(), error))


async def ask(channel, provider_id):
    """Make a unary call."""
    request = model_service_pb2.GetModelRequest()
    request.target.provider = provider_id
    with errors_mapped():
        answer = await ModelServiceStub(channel).GetModel(request, timeout=20)
    assert answer.model.id == f"{provider_id}-1"


async def echo(channel, provider_id, count=5, pause=0.01):
    """Send chunks, a moment apart, and see that all come back."""

    async def chunks():
        for number in range(count):
            yield chunk(b"%d" % number + CHUNK)
            await asyncio.sleep(pause)

    responses = await transform(channel, header(provider=provider_id), chunks=chunks(), timeout=20)
    back = [one.event.output_chunk.data for one in responses if one.event.HasField("output_chunk")]
    assert back == [b"%d" % number + CHUNK for number in range(count)]


@asynccontextmanager
async def load_running(address, provider_id="one", connections=8, anew=2):
    """Keep calls going for the time of the block, over connections old and new; give what becomes of them."""
    load = Load()
    keepers = [load.keep(address, provider_id) for _ in range(connections)]
    keepers += [load.connect_anew(address, provider_id) for _ in range(anew)]
    tasks = [asyncio.create_task(keeper) for keeper in keepers]
    try:
        yield load
        assert not [task for task in tasks if task.done()], "an answer was wrong"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
