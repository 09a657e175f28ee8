"""Control and the public port, in this process or as processes of their own, and what calls them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import grpc.aio

from automarket.errors import AutoMarketError
from automarket.rpc.channel import errors_mapped, open_channel
from automarket.rpc.streams import BidiCall
from automarket.v1 import discovery_service_pb2, model_service_pb2, transform_pb2
from automarket.v1.discovery_service_pb2_grpc import DiscoveryServiceStub
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from gateway.control.__main__ import control
from gateway.control.settings import ControlSettings
from gateway.relay.settings import RelaySettings
from gateway.relay.worker import serve
from tests.support.mesh import free_port
from tests.support.peer import Peer, Registered
from tests.support.raw_peer import GET_MODEL, WIDE, RawPeer

ROOT = Path(__file__).resolve().parent.parent.parent


def header(do="echo", **target):
    """Make the first message of a transform."""
    request = model_service_pb2.TransformRequest(header=transform_pb2.TransformHeader(request_id=str(uuid.uuid4())))
    request.header.model_options["do"] = do
    for key, value in target.items():
        setattr(request.target, key, value)
    return request


def chunk(data=b"x" * 1000, offset=0):
    return model_service_pb2.TransformRequest(chunk=transform_pb2.InputChunk(data=data, offset_bytes=offset))


def facts(response):
    """Read what a peer says of the call."""
    return json.loads(response.event.progress.message)


async def transform(channel, request, *, metadata=(), chunks=None, timeout=None):
    """Run one transform to its end; give its responses.

    Raises:
        AutoMarketError: it failed.
    """
    call = ModelServiceStub(channel).Transform(metadata=metadata, timeout=timeout)
    async with BidiCall(call, request, chunks) as bidi:
        return [response async for response in bidi.responses()]


async def until(condition, timeout=5.0, what="condition"):
    """Wait until `condition()` holds; give the seconds it took."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > timeout:
            raise AssertionError(f"{what}: not within {timeout} s")
        await asyncio.sleep(0.01)
    return time.monotonic() - begin


async def until_true(ask, timeout=5.0, what="condition"):
    """Wait until `await ask()` gives something; give that."""
    begin = time.monotonic()
    while True:
        with contextlib.suppress(AutoMarketError):
            if answer := await ask():
                return answer
        if time.monotonic() - begin > timeout:
            raise AssertionError(f"{what}: not within {timeout} s")
        await asyncio.sleep(0.01)


async def resolved(channel, **target):
    """Ask control where a call would go; give the instance."""
    request = discovery_service_pb2.ResolveRequest()
    for key, value in target.items():
        setattr(request.target, key, value)
    with errors_mapped():
        return (await DiscoveryServiceStub(channel).Resolve(request)).instance_id


@asynccontextmanager
async def _running(main):
    stop = asyncio.Event()
    task = asyncio.create_task(main(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


async def until_listening(address, timeout=10.0):
    """Wait until somebody listens at an address."""
    begin = time.monotonic()
    while True:
        with contextlib.suppress(OSError):
            if address.startswith("unix:"):
                _, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
            else:
                _, writer = await asyncio.open_connection(*address.rsplit(":", 1))
            writer.close()
            return
        if time.monotonic() - begin > timeout:
            raise AssertionError(f"nobody listens at {address}")
        await asyncio.sleep(0.01)


class Here:
    """Control and the public port in this process, over real sockets: Unix ones, or TCP at the port and its peers."""

    def __init__(self, folder: Path, *, tcp: bool = False) -> None:
        self.folder = folder
        self.tcp = tcp
        self.control = f"unix:{folder}/control.sock"
        self.routes = f"unix:{folder}/routes.sock"
        self.public = self.address("public")
        self.notes: list[str] = []

    def address(self, name: str) -> str:
        """Give an address where nobody listens yet."""
        return f"127.0.0.1:{free_port()}" if self.tcp else f"unix:{self.folder}/{name}.sock"

    @asynccontextmanager
    async def running_control(self, **settings):
        """Run control; give a channel to it."""
        settings = {"settle_seconds": 0.0, **settings}
        made = ControlSettings(listen=self.control, routes=self.routes, **settings)
        async with _running(control(made)):
            await until_listening(self.control)
            await until(lambda: Path(self.routes.removeprefix("unix:")).exists(), what="control serves")
            async with open_channel(self.control) as channel:
                yield channel

    @asynccontextmanager
    async def running(self, **settings):
        """Run control and the public port; give a channel to the port. At the end nobody waits for calls."""
        relay = RelaySettings(listen=self.public, routes=self.routes, drain_seconds=0.1)
        async with self.running_control(**settings), _running(partial(serve, relay)):
            await until_listening(self.public)
            async with open_channel(self.public) as channel:
                yield channel

    def peer(self, provider_id="peer", instance_id="", **described) -> Peer:
        """Make a provider server that registers with control."""
        instance_id = instance_id or f"{provider_id}-1"
        return self._made(Peer, provider_id, instance_id, **described)

    def raw_peer(self, provider_id="raw", instance_id="", address="", **described) -> RawPeer:
        """Make a stock server that passes bytes and registers with control, at `address` if need be."""
        return self._made(RawPeer, provider_id, instance_id or f"{provider_id}-1", address, **described)

    def registered(self, address: str, provider_id="raw", **described) -> Registered:
        """Register a server that runs at an address already."""
        return Registered(address, self.control, provider_id=provider_id, **described)

    def _made(self, kind, provider_id, instance_id, address="", **described):
        note = self.notes.append
        address = address or self.address(instance_id)
        return kind(address, self.control, note, provider_id=provider_id, instance_id=instance_id, **described)


class Processes:
    """Control, the public port and peers as processes that can be killed."""

    def __init__(self, folder: Path, *, tcp: bool = False) -> None:
        self.folder = folder
        self.tcp = tcp
        self.control = f"unix:{folder}/control.sock"
        self.routes = f"unix:{folder}/routes.sock"
        self.public = self.address("public")
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start_control(self, settle_seconds=5.0) -> None:
        arguments = ("--listen", self.control, "--routes", self.routes, "--settle-seconds", str(settle_seconds))
        self._start("control", "gateway.control", *arguments)

    def start_gateway(self, routes: str = "") -> None:
        """Start the public port, which follows control's routes or those that somebody passes on."""
        self._start("gateway", "gateway.relay", "--listen", self.public, "--routes", routes or self.routes)

    def start_peer(self, provider_id: str, instance: str = "") -> str:
        """Start a provider server; give the name of its instance."""
        instance = instance or f"{provider_id}-1"
        arguments = ("--listen", self.address(instance), "--registry", self.control, "--id", provider_id)
        notes = ("--instance", instance, "--notes", str(self.folder / f"{instance}.notes"))
        self._start(instance, "tests.support.peer", *arguments, *notes)
        return instance

    def start_raw_peer(self, provider_id: str, instance: str = "", model: str = "words", *, replay_safe=False) -> str:
        """Start a stock server that passes bytes; give the name of its instance."""
        instance = instance or f"{provider_id}-1"
        arguments = ["--listen", self.address(instance), "--registry", self.control, "--id", provider_id]
        arguments += ["--instance", instance, "--model", model, "--notes", str(self.folder / f"{instance}.notes")]
        self._start(instance, "tests.support.raw_peer", *arguments, *["--replay-safe"] * replay_safe)
        return instance

    def address(self, name: str) -> str:
        """Give an address where nobody listens yet."""
        return f"127.0.0.1:{free_port()}" if self.tcp else f"unix:{self.folder}/{name}.sock"

    def _start(self, name: str, module: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", module, *arguments]
            self._running[name] = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def signal(self, name: str, number: signal.Signals) -> float:
        """Send a signal to a process; give the time."""
        os.kill(self._running[name].pid, number)
        return time.monotonic()

    def kill(self, name: str) -> float:
        """Kill -9 a process; give the time."""
        process = self._running.pop(name)
        begin = time.monotonic()
        process.kill()
        process.wait(5)
        return begin

    def stop(self, name: str) -> int:
        """Stop a process in order; give its exit code."""
        process = self._running.pop(name)
        process.terminate()
        return process.wait(10)

    def names(self) -> tuple[str, ...]:
        """Give the names of all processes that were started and not stopped."""
        return tuple(self._running)

    def is_over(self, name: str) -> bool:
        """Tell whether a process has ended by itself."""
        return self._running[name].poll() is not None

    def peak_mebibytes(self, name: str) -> float:
        """Give the most memory that a process has held, in MiB."""
        return self._memory(name, "VmHWM")

    def mebibytes(self, name: str) -> float:
        """Give the memory that a process holds now, in MiB."""
        return self._memory(name, "VmRSS")

    def _memory(self, name: str, key: str) -> float:
        status = Path(f"/proc/{self._running[name].pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(key)) / 1024

    def notes(self, instance: str) -> list[tuple[float, str]]:
        """Give what a peer noted: the time since 1970, and the words."""
        path = self.folder / f"{instance}.notes"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(float(line.split(" ", 1)[0]), line.split(" ", 1)[1]) for line in lines]

    def close(self) -> None:
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(5)


async def until_served(channel, timeout=15.0, **target) -> str:
    """Wait until a target is served through a channel; give the instance that answers."""
    begin = time.monotonic()
    while True:
        try:
            responses = await transform(channel, header(**target), timeout=5)
            return facts(responses[0])["peer"]
        except Exception:
            if time.monotonic() - begin > timeout:
                raise
            await asyncio.sleep(0.02)


def stock_channel(address, *options):
    """Open a channel as anybody would, but for the size of metadata and of messages."""
    return grpc.aio.insecure_channel(address, options=[*WIDE, ("grpc.use_local_subchannel_pool", 1), *options])


async def until_raw_served(channel, timeout=15.0, **target) -> str:
    """Wait until a raw peer answers for a target; give its instance."""
    call = channel.unary_unary(GET_MODEL)
    begin = time.monotonic()
    while True:
        try:
            return (await call(b"", metadata=asking("who", **target), timeout=5)).decode()
        except grpc.aio.AioRpcError:
            if time.monotonic() - begin > timeout:
                raise
            await asyncio.sleep(0.02)


def asking(do="echo", *more, **target):
    """Make the metadata of a call to a raw peer: what it is to do, and where it goes."""
    target = target or {"model": "words"}
    return (("do", do), *((f"automarket-{key}", value) for key, value in target.items()), *more)
