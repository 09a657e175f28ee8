"""One worker under everything at once, for long: nothing may grow.

AUTOMARKET_SOAK_SECONDS sets the length; `python -m bench.soak_plot` draws the samples.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.soak.mixed_load import Tally
from tests.support.load import peer_running
from tests.support.mesh import mesh_running, wait_until
from tests.support.samples import descriptors, sampling

WORKER = "gateway.relay"
SECONDS = float(os.environ.get("AUTOMARKET_SOAK_SECONDS", "900"))
ROOT = Path(__file__).resolve().parent.parent.parent
CSV = ROOT / ".cache" / "soak" / "worker.csv"

pytestmark = [pytest.mark.soak, pytest.mark.timeout(SECONDS + 300)]


async def test_a_worker_under_mixed_load_keeps_its_memory_and_its_descriptors(short_dir, tmp_path):
    async with mesh_running(short_dir, "ffmpeg") as running, peer_running(running):
        pid = running.pid_of(WORKER)
        before = descriptors(pid)
        tally = Tally()
        async with killed_now_and_then(running), sampling(pid, lambda: tally.total()) as samples:  # noqa: PLW0108 - the newest
            async for newest in calls(running.address, tmp_path):
                tally = newest
        samples.write(CSV)
        # Connections to providers are kept for half a minute after their last call.
        took = await asyncio.to_thread(wait_until, lambda: descriptors(pid) <= before + 2, 60, "descriptors are closed")
    report(tally, samples, took)


async def calls(address, folder):
    """Make calls in a process of their own; give what becomes of them, every second."""
    command = [sys.executable, "-m", "tests.soak.mixed_load", address, str(folder), str(SECONDS)]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, limit=2**24)
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            yield Tally(**json.loads(line))
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def killed_now_and_then(running):
    """Keep a second provider running for the time of the block, which is killed every few seconds."""

    async def keep():
        while True:
            async with peer_running(running, "two") as process:
                await asyncio.sleep(random.uniform(5, 15))
                process.kill()
                await process.wait()
            await asyncio.sleep(1)

    keeping = asyncio.create_task(keep())
    try:
        yield
        assert not keeping.done(), keeping.exception()
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})


def report(tally, samples, took):
    """Say what there was, and compare three minutes after the first one with the last three.

    A minute's median of descriptors goes up and down by a tenth with the connections that come and go.
    """
    first, window = min(60.0, SECONDS / 15), min(180.0, SECONDS / 5)
    begin = next(one.seconds for one in samples.taken if one.calls)
    early = samples.medians(begin + first, begin + first + window)
    late = samples.medians(begin + SECONDS - window, begin + SECONDS)
    sys.stdout.write(
        f"\n{tally.ended}\nmemory {early[0]:.1f} -> {late[0]:.1f} MiB, descriptors {early[1]:.0f} -> {late[1]:.0f}, "
        f"all closed {took:.0f} s after the end\n"
    )
    assert not tally.wrong, tally.wrong[:10]
    assert late[0] - early[0] < 4, "memory grew"
    assert abs(late[1] - early[1]) <= 6, "descriptors grew"
