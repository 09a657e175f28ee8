"""Copies of files that the kernel makes: the bytes never come into this process."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from io import FileIO
    from pathlib import Path

_STEP_BYTES = 8 * 1024 * 1024  # so little that whoever waits for one step sees it move, and can be cancelled
# The kernel or the file systems cannot do it for these two files.
_CANNOT = (errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF, errno.EPERM)


def copy_file(source: Path, target: Path) -> None:
    """Copy the bytes of a file to another, which is replaced. Blocks.

    File systems that can share bytes between files do so: the copy is made at once, and takes no room until one of
    them is changed.
    """
    for _ in copy_in_steps(source, target):
        pass


def copy_in_steps(source: Path, target: Path) -> Generator[int]:
    """Copy as `copy_file` does; give after every step how many bytes are there. Each step blocks."""
    done = 0
    with source.open("rb", 0) as given, target.open("wb", 0) as made:
        while copied := _copy_step(given, made):
            done += copied
            yield done


def _copy_step(given: FileIO, made: FileIO) -> int:
    """Copy some bytes from where the files are; give how many, 0 at the end."""
    try:
        return os.copy_file_range(given.fileno(), made.fileno(), _STEP_BYTES)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    data = given.read(_STEP_BYTES)
    left = memoryview(data)
    while left:
        left = left[made.write(left) :]
    return len(data)


def link(source: Path, target: Path) -> bool:
    """Give a file another name, which it keeps when the first is removed; tell whether that can be."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        return False
    return True
