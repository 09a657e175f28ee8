"""Starting the processes of a measurement, and what the kernel says of them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A process that runs."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._command = command
        self._log = log
        merged = {**os.environ, "PYTHONPATH": str(ROOT), "AUTOMARKET_LOG_LEVEL": "warning", **(environment or {})}
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, env=merged, stdout=output, stderr=output)

    @property
    def pid(self) -> int:
        """The number of the first process."""
        return self._process.pid

    def stop(self) -> None:
        """End the process, by force when it takes too long."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_for(self, address: str, timeout: float = 20) -> None:
        """Wait until somebody answers at an address.

        Raises:
            RuntimeError: the process ended, or nobody answers in time; says what it wrote.
        """
        deadline = time.monotonic() + timeout
        while not answers(address):
            if self._process.poll() is not None or time.monotonic() > deadline:
                written = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise RuntimeError(f"{' '.join(self._command)} does not serve {address}: {written}")
            time.sleep(0.02)


def cpu_seconds(pid: int) -> float:
    """Give the processor time that a process and those below it have used so far."""
    return sum(map(_cpu_seconds, tree(pid)))


def peak_mebibytes(pid: int) -> float:
    """Give the most memory that a process and those below it have held, in MiB."""
    return sum(map(_peak_mebibytes, tree(pid)))


def tree(pid: int) -> set[int]:
    """Give the numbers of a process and of all below it."""
    found = {pid}
    parents = _parents()
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def python(module: str, *arguments: str) -> list[str]:
    """Give the command that runs a module of this repository."""
    return [sys.executable, "-P", "-m", module, *arguments]


def answers(address: str) -> bool:
    """Tell whether somebody listens at unix:/path or host:port."""
    family = socket.AF_UNIX if address.startswith("unix:") else socket.AF_INET
    with socket.socket(family) as probe, contextlib.suppress(OSError):
        probe.connect(place(address))
        return True
    return False


def place(address: str) -> str | tuple[str, int]:
    """Give an address as sockets want it."""
    if address.startswith("unix:"):
        return address.removeprefix("unix:")
    host, _, port = address.rpartition(":")
    return host, int(port)


def free_port() -> int:
    """Give a TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _parents() -> dict[int, int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
    return parents


def _stat(pid: int) -> list[str]:
    """Give the fields after the name, which may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def _cpu_seconds(pid: int) -> float:
    """Add the threads up in nanoseconds where the kernel keeps these; its ticks are 10 ms."""
    threads = list(Path(f"/proc/{pid}/task").iterdir())
    with contextlib.suppress(OSError):
        exact = sum(int((thread / "schedstat").read_text(encoding="ascii").split()[0]) for thread in threads)
        if exact:
            return exact / 1e9
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS


def _peak_mebibytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0) / 1024
