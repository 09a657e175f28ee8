"""Unix sockets of servers: private to their user, and never taken from a server that lives."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from automarket.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Generator

MAX_PATH_BYTES = 107


@contextlib.contextmanager
def claimed(name: str) -> Generator[None]:
    """Make a socket's path free; a socket that is bound inside is its user's alone (mode 0600).

    Raises:
        StateError: the path is too long, is not a socket, or a server listens there.
    """
    path = Path(name)
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise StateError(
            f"the socket path {name} is over {MAX_PATH_BYTES} bytes", hint="use a folder with a shorter name"
        )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _clear(path)
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)


def _clear(path: Path) -> None:
    """Remove what a server that has ended left behind."""
    if not path.exists():
        return
    if not path.is_socket():
        raise StateError(f"{path} is in the way: it is not a socket", hint="remove it, or listen elsewhere")
    if _is_answered(path):
        raise StateError(f"cannot listen on unix:{path}", hint="another server listens there; stop it first")
    path.unlink(missing_ok=True)


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except BlockingIOError:  # it listens, and has no time to answer
            return True
    return True
