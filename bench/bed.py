"""The test bed: control, the peer, the client process, and every proxy between them, all running at once."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.processes import ROOT, Process, free_port, python
from bench.proxies import Where

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from bench.proxies import Proxy

DIRECT = "direct"


class Client:
    """The client process."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", "bench.client"]
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def call(self, case: str, address: str, **sizes: float) -> dict[str, float]:
        """Have a case's calls made; give what came out.

        Raises:
            RuntimeError: a call failed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"case": case, "address": address, **sizes}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline() or '{"error": "the client is gone"}')
        if "error" in answer:
            raise RuntimeError(f"{case} at {address}: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=10)


@dataclass(frozen=True, slots=True)
class Bed:
    """What runs.

    Attributes:
        client: makes the calls.
        peer: answers them.
        addresses: where to call, by the proxy's name, and by "direct".
        proxies: the proxies' processes, by name.
    """

    client: Client
    peer: Process
    addresses: dict[str, str]
    proxies: dict[str, Process]


class Addresses:
    """Makes addresses up: Unix sockets in a folder, or TCP ports on loopback."""

    def __init__(self, folder: Path, *, tcp: bool) -> None:
        self._folder = folder
        self._tcp = tcp

    def unix(self, name: str) -> str:
        """Give a Unix socket."""
        return f"unix:{self._folder}/{name}.sock"

    def next(self, name: str) -> str:
        """Give an address of the chosen kind."""
        return f"127.0.0.1:{free_port()}" if self._tcp else self.unix(name)


@contextlib.contextmanager
def running(proxies: Sequence[Proxy], *, tcp: bool = False) -> Generator[Bed]:
    """Start everything and wait until calls get through everywhere; stop everything at the end."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="am-bench-")))
        addresses = Addresses(folder, tcp=tcp)
        control, routes = addresses.unix("control"), addresses.unix("routes")
        peer = addresses.next("peer")
        start(stack, python("gateway.control", "--listen", control, "--routes", routes), control, folder)
        peer_process = start(stack, python("bench.peer", "--listen", peer, "--registry", control), peer, folder)
        places = {DIRECT: peer}
        processes: dict[str, Process] = {}
        for proxy in proxies:
            places[proxy.name] = addresses.next(proxy.name)
            own = folder / proxy.name
            own.mkdir()
            command = proxy.command(Where(places[proxy.name], peer, routes, own))
            processes[proxy.name] = start(stack, command, places[proxy.name], own)
        client = Client()
        stack.callback(client.close)
        for place in places.values():
            client.call("ready", place)
        yield Bed(client, peer_process, places, processes)


def start(stack: contextlib.ExitStack, command: list[str], address: str, folder: Path) -> Process:
    """Start a process that serves an address; it is stopped with the stack."""
    process = Process(command, folder / "log")
    stack.callback(process.stop)
    process.wait_for(address)
    return process
