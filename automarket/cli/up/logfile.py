"""The log of one child process, bounded in size.

The child writes into the file itself, so that it never waits for its supervisor (which a user may stop with Ctrl-Z).
Hence a log that is full is copied and emptied instead of renamed.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 10 * 1024 * 1024
KEPT = 3
_TAIL_BYTES = 16 * 1024


class LogFile:
    """A log file and its older parts, NAME.log.1 (newest) to NAME.log.3."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._begin = 0

    def open(self) -> int:
        """Open it for a child that starts now; the caller closes the descriptor."""
        self.rotate()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._begin = os.fstat(descriptor).st_size
        return descriptor

    def rotate(self) -> None:
        """Put away what is there when it is too much."""
        if not self.path.exists() or self.path.stat().st_size <= self._max_bytes:
            return
        for number in range(KEPT - 1, 0, -1):
            if (older := self._part(number)).exists():
                older.replace(self._part(number + 1))
        shutil.copyfile(self.path, self._part(1))
        self._part(1).chmod(0o600)
        os.truncate(self.path, 0)
        self._begin = 0

    def tail(self, lines: int = 12) -> tuple[str, ...]:
        """Give the last lines that the child wrote since it was started."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._begin, size - _TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ()
        return tuple(text.splitlines()[-lines:])

    def _part(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
