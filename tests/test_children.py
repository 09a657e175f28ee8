"""The end of child processes that write more than anybody reads."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE

import pytest

from automarket.children import reap

WRITES = "import sys\nwhile True: sys.stdout.buffer.write(bytes(65536))"


@pytest.mark.parametrize("taken", [0, 1])
async def test_a_child_that_is_killed_while_nobody_reads_is_gone_at_once(taken):
    for _ in range(10):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", WRITES, stdout=PIPE, limit=16384)
        assert process.stdout is not None
        for _ in range(taken):
            await process.stdout.read(1)
        await asyncio.sleep(0.05)  # enough arrives for the pipe not to be read any more
        process.kill()
        async with asyncio.timeout(5):
            assert await reap(process) == -signal.SIGKILL


async def test_the_exit_code_of_a_child_without_a_pipe():
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "raise SystemExit(3)")
    assert await reap(process) == 3
