"""A whole mesh as a user starts it: `automarket up` with its child processes, and handles to break them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import automarket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping


def free_port() -> int:
    """Give a TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition: Callable[[], object], timeout: float, what: str) -> float:
    """Wait until `condition()` holds; give the seconds it took."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > timeout:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(0.02)
    return time.monotonic() - begin


def processes() -> dict[int, str]:
    """Give the command line of every process that runs now, zombies left out."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if command:
                found[int(entry.name)] = command
    return found


def parent_of(pid: int) -> int:
    """Give the parent of a process, 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def processes_below(ancestor: int) -> dict[int, str]:
    """Give the command line of every process that descends from one, which other tests' processes do not."""
    running = processes()
    parents = {pid: parent_of(pid) for pid in running}
    below = {ancestor}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    return {pid: running[pid] for pid in below - {ancestor}}


@dataclass(slots=True)
class RunningMesh:
    """A mesh that runs."""

    address: str
    data_dir: Path
    supervisor: subprocess.Popen[bytes]
    environment: dict[str, str]

    def children(self) -> dict[int, str]:
        """Give the command lines of all processes below the supervisor."""
        return processes_below(self.supervisor.pid)

    def pids_of(self, *words: str) -> list[int]:
        """Give the children whose command lines have all the words."""
        return [pid for pid, command in self.children().items() if all(word in command for word in words)]

    def pid_of(self, *words: str) -> int:
        """Give the one child whose command line has all the words."""
        found = self.pids_of(*words)
        assert len(found) == 1, f"{words}: {found} in {self.children()}"
        return found[0]

    def kill(self, *words: str) -> int:
        """Kill -9 the one child whose command line has all the words; give its pid."""
        pid = self.pid_of(*words)
        os.kill(pid, signal.SIGKILL)
        return pid

    def peak_mebibytes(self, *words: str) -> float:
        """Give the most memory that a child has held, in MiB."""
        status = Path(f"/proc/{self.pid_of(*words)}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024

    def cli(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run the command line against this mesh."""
        command = [sys.executable, "-m", "automarket", *arguments]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )


@asynccontextmanager
async def mesh_running(
    data_dir: Path, *providers: str, workers: int = 1, environment: Mapping[str, str] | None = None
) -> AsyncIterator[RunningMesh]:
    """Start a mesh and wait until it serves; stop it at the end and check that no process is left."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    env = {**os.environ, "AUTOMARKET_ADDRESS": address, "AUTOMARKET_CACHE_DIR": str(data_dir / "cache")}
    env |= environment or {}
    only = [part for name in providers for part in ("--provider", name)]
    only += ["--workers", str(workers)] if workers > 1 else []
    command = [sys.executable, "-m", "automarket", "up", "--port", str(port), "--data-dir", str(data_dir), *only]
    log = (data_dir / "up.log").open("wb")
    supervisor = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)
    running = RunningMesh(address, data_dir, supervisor, env)
    try:
        await _wait_until_complete(running, set(providers) or {"pocketsphinx", "flite", "ffmpeg"})
        yield running
        left = running.children()
        supervisor.terminate()
        assert supervisor.wait(20) == 0, (data_dir / "up.log").read_text()
        assert not left.keys() & processes().keys(), "the mesh left processes behind"
    finally:
        if supervisor.poll() is None:
            supervisor.kill()
            supervisor.wait(10)
        log.close()


async def _wait_until_complete(running: RunningMesh, wanted: set[str]) -> None:
    deadline = time.monotonic() + 90  # on a machine that does a dozen other things
    while True:
        assert running.supervisor.poll() is None, (running.data_dir / "up.log").read_text()
        try:
            async with automarket.connect(running.address) as mesh:
                there = {provider.id for provider in await mesh.providers() if provider.instances}
        except automarket.AutoMarketError:
            there = set()
        if wanted <= there:
            return
        assert time.monotonic() < deadline, (running.data_dir / "up.log").read_text()
        await asyncio.sleep(0.1)
