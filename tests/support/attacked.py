"""A gateway on loopback TCP, with control and two providers, that a normal load goes through while it is attacked."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import h2
from tests.support.gateway import ROOT, Processes, header
from tests.support.mesh import free_port
from tests.support.normal_load import NormalLoad

if TYPE_CHECKING:
    from collections.abc import Mapping

PROVIDERS = ("near", "far")
MOST_MEBIBYTES = 100
# Processor time that counts as idle, of a second.
IDLE_SHARE = 0.1
_TICKS = os.sysconf("SC_CLK_TCK")


def opening(do: str = "hang", provider: str = "near") -> bytes:
    """Give the first message of a transform, as it travels."""
    return h2.message(header(do, provider=provider).SerializeToString())


class Attacked(Processes):
    """All processes, and the load.

    Args:
        limits: limits of the gateway by name, where they differ from those of a real one.
    """

    def __init__(self, folder: Path, limits: Mapping[str, float] | None = None) -> None:
        super().__init__(folder)
        self.public = f"127.0.0.1:{free_port()}"
        self._limits = {
            f"AUTOMARKET_GATEWAY_LIMIT_{name.upper()}": str(value) for name, value in (limits or {}).items()
        }
        self.load: NormalLoad | None = None

    def start(self) -> None:
        self.start_quietly()
        self.start_load()

    def start_quietly(self) -> None:
        """Start everything but the load."""
        self.start_control(0)
        self.start_gateway()
        for name in PROVIDERS:
            self.start_peer(name)
        self._await_providers()

    def start_load(self) -> None:
        self.load = NormalLoad(self.public, list(PROVIDERS), str(ROOT))
        self.load.wait(16)
        assert not self.load.lost, self.load.lost

    def start_gateway(self) -> None:
        with (self.folder / "gateway.log").open("ab") as log:
            command = [sys.executable, "-P", "-m", "gateway.relay", "--listen", self.public, "--routes", self.routes]
            environment = {**os.environ, **self._limits, "PYTHONPATH": str(ROOT)}
            self._running["gateway"] = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment)

    def _await_providers(self) -> None:
        """Ask until every provider answers: they and the gateway start at the same time."""
        program = (
            "import asyncio, sys; from automarket.rpc.channel import open_channel\n"
            "from tests.support.gateway import until_served\n"
            "async def main():\n"
            "    async with open_channel(sys.argv[1]) as channel:\n"
            "        for name in sys.argv[2:]: await until_served(channel, 30, provider=name)\n"
            "asyncio.run(main())"
        )
        command = [sys.executable, "-c", program, self.public, *PROVIDERS]
        subprocess.run(command, cwd=ROOT, check=True, timeout=60)

    @property
    def _proc(self) -> Path:
        return Path(f"/proc/{self._running['gateway'].pid}")

    def processor_seconds(self) -> float:
        """Give the processor time that the gateway has used."""
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def descriptors(self) -> int:
        return len(list((self._proc / "fd").iterdir()))

    @asynccontextmanager
    async def unharmed(self, calls: int = 8):
        """Check that what happens inside costs the normal load no call, and the gateway little memory."""
        if self.load is None:
            await asyncio.to_thread(self.start_load)
        load = self.load
        assert load is not None
        yield
        await asyncio.to_thread(load.wait, calls)
        assert not self.is_over("gateway"), "the gateway has ended"
        lost = load.take_lost()
        assert lost == [], lost[:3]
        assert self.peak_mebibytes("gateway") < MOST_MEBIBYTES

    async def until_idle(self, seconds: float = 10) -> None:
        """Wait until the gateway, whose load has been stopped, does nothing any more."""
        end = time.monotonic() + seconds
        while True:
            before = self.processor_seconds()
            await asyncio.sleep(1)  # it is a rate that is measured
            used = self.processor_seconds() - before
            if used < IDLE_SHARE:
                return
            assert time.monotonic() < end, f"{used:.2f} processor seconds in a second without load"

    def close(self) -> None:
        if self.load is not None:
            self.load.kill()
        super().close()
