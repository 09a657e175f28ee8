"""The store's files: where they are, and moves that are durable and never half done. All of it blocks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import time
import uuid
from typing import TYPE_CHECKING

from automarket.digests import check_digest
from automarket.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HEX = re.compile(r"[0-9a-f]{64}")


class Files:
    """The folders below one data directory. Making it locks the directory until the process ends.

    Raises:
        StateError: another store uses the directory, or it cannot be used.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.content, self.uploads = root / "content", root / "uploads"
        self.work, self.corrupt = root / "work", root / "corrupt"
        self.incoming = root / "incoming"
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = self._take_lock()
            self._make_folders()
            self.identity = self._identify()
        except OSError as error:
            raise StateError(f"{root} cannot be used: {error.strerror}", hint="choose a folder that can") from error

    def _make_folders(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        for folder in (self.content, self.uploads, self.work, self.corrupt, self.incoming):
            folder.mkdir(exist_ok=True)
        for number in range(256):
            (self.content / f"{number:02x}").mkdir(exist_ok=True)
        for folder in (self.content, self.root):
            sync_folder(folder)

    def _identify(self) -> str:
        """Give the identity of the directory; a new one gets one, whole or not at all."""
        name = self.root / "id"
        if not name.exists():
            new = self.work / "id"
            with new.open("w", encoding="ascii") as file:
                file.write(str(uuid.uuid4()))
                file.flush()
                os.fsync(file.fileno())
            new.replace(name)
            sync_folder(self.root)
        return name.read_text(encoding="ascii")

    def _take_lock(self) -> int:
        lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise StateError(f"another asset store uses {self.root}", hint="stop it, or use another folder") from None
        return lock

    def close(self) -> None:
        """Let another store use the directory."""
        os.close(self._lock)

    def path_of(self, digest: str) -> Path:
        """Give where the bytes of a digest are, or would be."""
        digits = check_digest(digest)
        return self.content / digits[:2] / digits

    def keep(self, source: Path, digest: str) -> None:
        """Make a file the content of a digest, durably; the source is gone then.

        Bytes that are there already are replaced: the new ones were checked just now.
        """
        target = self.path_of(digest)
        source.chmod(0o444)
        with source.open("rb") as file:
            os.fsync(file.fileno())
        source.replace(target)
        sync_folder(target.parent)
        self.aside(digest).unlink(missing_ok=True)

    def remove(self, digest: str) -> None:
        """Delete the bytes of a digest, and what was set aside of it."""
        self.path_of(digest).unlink(missing_ok=True)
        self.aside(digest).unlink(missing_ok=True)

    def aside(self, digest: str) -> Path:
        """Give where damaged bytes of a digest are put."""
        return self.corrupt / check_digest(digest)

    def set_aside(self, digest: str) -> None:
        """Take damaged bytes out of the content, where others open them by path. They may still be worth something."""
        if self.path_of(digest).exists():
            self.path_of(digest).replace(self.aside(digest))

    def digests(self) -> Iterator[str]:
        """Give the digests of all content."""
        for folder in sorted(self.content.iterdir()):
            for path in folder.iterdir():
                if _HEX.fullmatch(path.name) and path.name.startswith(folder.name):
                    yield f"sha256:{path.name}"

    def take(self, upload_id: str, folder: Path) -> Path | None:
        """Move what a neighbour put into `incoming` into a folder of ours; None when nothing is there."""
        taken = folder / "taken"
        try:
            (self.incoming / upload_id).rename(taken)
        except FileNotFoundError:
            return None
        return taken

    def forget_incoming(self, idle_seconds: float) -> None:
        """Delete files that were put into `incoming` long ago and never handed over."""
        for path in self.incoming.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.lstat().st_ctime < time.time() - idle_seconds:
                    path.unlink()

    def make_workdir(self) -> Path:
        """Make a new folder on the content's file system."""
        folder = self.work / uuid.uuid4().hex
        folder.mkdir()
        return folder

    def remove_workdir(self, folder: Path) -> None:
        """Delete a folder that `make_workdir` made, with all that is in it."""
        shutil.rmtree(folder, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Make what was renamed into a folder durable."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def signature(number: int) -> tuple[int, int, int, int]:
    """Give what changes whenever somebody writes into an open file."""
    facts = os.fstat(number)
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
