"""Copies of files that the kernel makes: the bytes never come into this process."""

from __future__ import annotations

import errno
import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_STEP_BYTES = 128 * 1024 * 1024
# The kernel or the file systems cannot do it for these two files.
_CANNOT = (errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF, errno.EPERM)


def copy_file(source: Path, target: Path) -> None:
    """Copy the bytes of a file to another, which is replaced. Blocks.

    File systems that can share bytes between files do so: the copy is made at once, and takes no room until one of
    them is changed.
    """
    with source.open("rb", 0) as given, target.open("wb", 0) as made:
        try:
            while os.copy_file_range(given.fileno(), made.fileno(), _STEP_BYTES):
                pass
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            given.seek(0)
            made.truncate(0)
            made.seek(0)
            shutil.copyfileobj(given, made, 1024 * 1024)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file another name, which it keeps when the first is removed; copy it where that cannot be. Blocks."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        copy_file(source, target)
