"""The processes that are measured, and what the kernel says of them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Setup:
    """A peer and the gateway in front of it, all running."""

    direct: str
    gateway: str
    gateway_pid: int

    def cpu_seconds(self) -> float:
        """Give the processor time that the gateway process has used so far."""
        fields = Path(f"/proc/{self.gateway_pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_mebibytes(self) -> float:
        """Give the most memory that the gateway process has held, in MiB."""
        lines = Path(f"/proc/{self.gateway_pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _start(stack: contextlib.ExitStack, module: str, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "AUTOMARKET_LOG_LEVEL": "warning"}
    process = subprocess.Popen([sys.executable, "-P", "-m", module, *arguments], env=environment)

    def stop() -> None:
        process.terminate()
        process.wait(10)

    stack.callback(stop)
    return process


def _wait_for(address: str, timeout: float = 20) -> None:
    family, target = socket.AF_UNIX, address.removeprefix("unix:")
    deadline = time.monotonic() + timeout
    while True:
        with socket.socket(family) as probe, contextlib.suppress(OSError):
            probe.connect(target)
            return
        if time.monotonic() > deadline:
            message = f"nothing answers at {address}"
            raise TimeoutError(message)
        time.sleep(0.05)


@contextlib.contextmanager
def running() -> Generator[Setup]:
    """Start control, the gateway and the peer; stop them at the end."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="am-bench-"))
        control, routes, peer, gateway = (f"unix:{folder}/{name}.sock" for name in ("control", "routes", "peer", "gw"))
        _start(stack, "gateway.control", "--listen", control, "--routes", routes)
        _wait_for(control)
        forwarder = _start(stack, "gateway.forwarder", "--listen", gateway, "--routes", routes)
        root = Path(__file__).resolve().parent.parent
        environment = {**os.environ, "PYTHONPATH": str(root)}
        command = [sys.executable, "-m", "bench.peer", "--listen", peer, "--registry", control]
        process = subprocess.Popen(command, env=environment)
        stack.callback(process.kill)
        _wait_for(peer)
        _wait_for(gateway)
        yield Setup(direct=peer, gateway=gateway, gateway_pid=forwarder.pid)
