"""Running the asset store as its own process."""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class StoreProcess:
    """A store below a folder: `run.sock`, `data/` and `store.log`."""

    def __init__(self, folder: Path, *arguments: str, data_dir: Path | None = None) -> None:
        self.folder = folder
        self.data_dir = data_dir or folder / "data"
        self.address = f"unix:{folder}/run.sock"
        self.arguments: Sequence[str] = arguments
        self.process: subprocess.Popen[bytes] | None = None
        self.limits: Sequence[str] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, *arguments: str) -> None:
        """Start it and wait until it listens."""
        command = [sys.executable, "-P", "-m", "asset_store", "--listen", self.address]
        command += ["--data-dir", str(self.data_dir), *self.arguments, *arguments]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        with (self.folder / "store.log").open("ab") as log:
            self.process = subprocess.Popen([*self.limits, *command], env=environment, stderr=log, stdout=log)
        deadline = time.monotonic() + 20
        while not self._listens():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.address.removeprefix("unix:")) == 0

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """End it as a crash does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        """End it as a supervisor does."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(20) == 0, self.log()

    def log(self) -> str:
        return (self.folder / "store.log").read_text()

    def peak_mebibytes(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024

    def content(self, digest: str) -> Path:
        digits = digest.removeprefix("sha256:")
        return self.data_dir / "content" / digits[:2] / digits

    def leftovers(self) -> list[Path]:
        """Give the files of uploads and casts that are there."""
        return [path for name in ("uploads", "work", "corrupt") for path in (self.data_dir / name).rglob("*")]


async def eventually(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until `condition()`, or what it gives to await, is true."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.02)


def noise(size: int, seed: int = 1) -> bytes:
    """Give bytes that look like nothing, always the same for a seed."""
    return random.Random(seed).randbytes(size)
