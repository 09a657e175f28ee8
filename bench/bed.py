"""The test bed: control, the peer, the client process, and every proxy between them, all running at once."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.client_process import Client
from bench.processes import Process, free_port, python
from bench.proxies import Where

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from bench.proxies import Proxy

DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Transport:
    """Over what the calls go: TCP on loopback, or Unix sockets.

    Attributes:
        front_tcp: from the client to a proxy; direct calls to the peer go the same way.
        back_tcp: from a proxy to the peer.
    """

    front_tcp: bool = True
    back_tcp: bool = False

    def __str__(self) -> str:
        """Say it in words."""
        front, back = ("TCP" if tcp else "a Unix socket" for tcp in (self.front_tcp, self.back_tcp))
        return f"the client comes over {front}, the proxies reach the peer over {back}"


@dataclass(frozen=True, slots=True)
class Bed:
    """What runs.

    Attributes:
        folder: for sockets, configurations and what the processes write.
        transport: over what the calls go.
        client: makes the calls.
        peer: answers them.
        upstream: where proxies reach the peer.
        routes: where the routing table is pushed.
        addresses: where to call, by the proxy's name, and by "direct".
        proxies: the proxies' processes, by name.
    """

    folder: Path
    transport: Transport
    client: Client
    peer: Process
    upstream: str
    routes: str
    addresses: dict[str, str]
    proxies: dict[str, Process] = field(default_factory=dict[str, Process])

    def start(self, stack: contextlib.ExitStack, proxy: Proxy, name: str) -> None:
        """Start a proxy under a name and wait until calls get through it; it is stopped with the stack."""
        folder = self.folder / name
        folder.mkdir()
        address = make_address(folder, "front", tcp=self.transport.front_tcp)
        command = proxy.command(Where(address, self.upstream, self.routes, folder))
        self.proxies[name] = start(stack, command, address, folder)
        self.addresses[name] = address
        self.client.call("ready", address)


@contextlib.contextmanager
def running(proxies: Sequence[Proxy], transport: Transport) -> Generator[Bed]:
    """Start everything and wait until calls get through everywhere; stop everything at the end."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="am-bench-")))
        control, routes = f"unix:{folder}/control.sock", f"unix:{folder}/routes.sock"
        start(stack, python("gateway.control", "--listen", control, "--routes", routes), control, folder)
        direct = make_address(folder, "direct", tcp=transport.front_tcp)
        upstream = make_address(folder, "peer", tcp=transport.back_tcp)
        command = python("bench.peer", "--listen", upstream, "--listen", direct, "--registry", control)
        peer = start(stack, command, upstream, folder)
        client = Client()
        stack.callback(client.close)
        client.call("ready", direct)
        bed = Bed(folder, transport, client, peer, upstream, routes, {DIRECT: direct})
        for proxy in proxies:
            bed.start(stack, proxy, proxy.name)
        yield bed


def start(stack: contextlib.ExitStack, command: list[str], address: str, folder: Path) -> Process:
    """Start a process that serves an address; it is stopped with the stack."""
    process = Process(command, folder / "log")
    stack.callback(process.stop)
    process.wait_for(address)
    return process


def make_address(folder: Path, name: str, *, tcp: bool) -> str:
    """Make an address up: a free TCP port on loopback, or a Unix socket in the folder."""
    return f"127.0.0.1:{free_port()}" if tcp else f"unix:{folder}/{name}.sock"
