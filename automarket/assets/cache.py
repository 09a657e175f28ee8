"""Results of casts in the user's cache folder, by digest of the source and what was asked for.

The folder is AUTOMARKET_CACHE_DIR, else $XDG_CACHE_HOME/automarket, else ~/.cache/automarket. What was not used for the
longest time goes when results take over AUTOMARKET_CACHE_BYTES (10 GiB).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from automarket.digests import check_digest
from automarket.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Generator

    from automarket.media.info import CastSpec

DEFAULT_BYTES = 10 * 1024**3
ABANDONED_SECONDS = 24 * 3600


def cache_dir() -> Path:
    """Give the user's cache folder of AutoMarket."""
    own = os.environ.get("AUTOMARKET_CACHE_DIR")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "automarket"


class CastCache:
    """Finds and keeps results of casts."""

    def __init__(self) -> None:
        self._root = cache_dir() / "casts"

    def find(self, digest: str, spec: CastSpec) -> Path | None:
        """Give the result of a cast that was made before, and note that it was used."""
        path = self._path(digest, spec)
        try:
            os.utime(path)
        except OSError:
            return None
        return path

    @contextmanager
    def folder(self) -> Generator[Path]:
        """Give a folder where a result is made, on the disk of the cache; it goes at the end."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix="new-", dir=self._root) as name:
            yield Path(name)

    def keep(self, made: Path, digest: str, spec: CastSpec) -> Path:
        """Take a result into the cache and give where it is now."""
        path = self._path(digest, spec)
        path.parent.mkdir(parents=True, exist_ok=True)
        made.replace(path)
        self._make_room(path)
        self._sweep()
        return path

    def _path(self, digest: str, spec: CastSpec) -> Path:
        source = check_digest(digest)
        return self._root / source[:2] / f"{source}-{hashlib.sha256(spec.key().encode()).hexdigest()[:16]}"

    def _make_room(self, newest: Path) -> None:
        """Remove what was not used for the longest time. Files that a program reads now stay readable for it."""
        kept = sorted(_results(self._root), key=lambda one: one[0], reverse=True)
        left = _limit_bytes()
        for _, size, path in kept:
            left -= size
            if left < 0 and path != newest:
                path.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove the folders of programs that were killed while they cast."""
        for folder in self._root.glob("new-*"):
            with suppress(FileNotFoundError):
                if folder.stat().st_mtime < time.time() - ABANDONED_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)


def _results(root: Path) -> list[tuple[float, int, Path]]:
    found: list[tuple[float, int, Path]] = []
    for path in root.glob("??/*"):
        with suppress(FileNotFoundError):
            facts = path.stat()
            found.append((facts.st_mtime, facts.st_size, path))
    return found


def _limit_bytes() -> int:
    text = os.environ.get("AUTOMARKET_CACHE_BYTES") or str(DEFAULT_BYTES)
    if not text.isdigit():
        raise InvalidRequestError(f"AUTOMARKET_CACHE_BYTES is {text[:40]!r}", hint="a number of bytes")
    return int(text)
