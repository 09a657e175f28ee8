"""One mesh per data folder.

The lock is an flock that the supervisor takes and every child inherits: as long as one process of a mesh runs, be it
only for the seconds after its supervisor was killed, no other mesh uses the folder.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

from automarket.errors import StateError

ORPHANS_END_SECONDS = 8.0


async def lock_data_dir(lock_file: Path, address: str) -> int:
    """Take the data folder for this process; give the descriptor that holds it, for children to inherit.

    Children that a killed mesh left behind are waited for: they end by themselves.

    Raises:
        StateError: another mesh uses the folder.
    """
    descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        await _lock(descriptor, lock_file)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "address": address}).encode(), 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


async def _lock(descriptor: int, lock_file: Path) -> None:
    deadline = time.monotonic() + ORPHANS_END_SECONDS
    while not _locked(descriptor):
        owner = _owner(lock_file)
        if _runs(owner.get("pid", 0)) or time.monotonic() > deadline:
            raise _in_use(lock_file.parent, owner)
        await asyncio.sleep(0.05)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(lock_file: Path) -> dict[str, Any]:
    try:
        return json.loads(lock_file.read_text())
    except (OSError, ValueError):  # its owner is about to write it
        return {}


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def _in_use(data_dir: Path, owner: dict[str, Any]) -> StateError:
    who = f"process {owner['pid']}, at {owner['address']}" if owner else "another process"
    return StateError(
        f"a mesh runs in {data_dir} already ({who})", hint="use that one, stop it, or start another with --data-dir DIR"
    )
