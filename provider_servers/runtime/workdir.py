"""The folder of one call, which most calls of language models never need."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import uuid
from pathlib import Path

WORKDIR_PREFIX = f"automarket-call-{os.getpid()}-"


class Workdir:
    """A folder of one call alone, made when it is first asked for."""

    def __init__(self) -> None:
        self._path: Path | None = None

    @property
    def path(self) -> Path:
        """The folder."""
        if self._path is None:
            self._path = Path(tempfile.gettempdir(), f"{WORKDIR_PREFIX}{uuid.uuid4().hex}")
            self._path.mkdir(mode=0o700)
        return self._path

    @property
    def is_made(self) -> bool:
        """Whether anybody has asked for it."""
        return self._path is not None

    async def remove(self) -> None:
        """Remove it with all that is in it."""
        if self._path is not None:
            await asyncio.to_thread(shutil.rmtree, self._path, ignore_errors=True)
