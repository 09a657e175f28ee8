"""The port of the mesh: whether it can be had, and who has it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from automarket.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

PATIENCE_SECONDS = 5.0
_LISTENING = "0A"


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that listens on a port."""

    pid: int
    command: str


async def claim_port(host: str, port: int, patience: float = PATIENCE_SECONDS) -> int:
    """Wait until a port can be had, and give it; port 0 gives a free one.

    Raises:
        StateError: it is still taken after `patience` seconds, or may not be used; says by whom.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return _bind(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                hint = "take a port from 1024 on: --port N" if error.errno == errno.EACCES else None
                raise StateError(f"cannot listen on {host}:{port}: {error.strerror}", hint=hint) from None
        if time.monotonic() >= deadline:
            raise _taken(port)
        await asyncio.sleep(0.1)


def _bind(host: str, port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        # Bound alone is not enough: a socket that listens on all addresses shows only now.
        probe.listen(1)
        return probe.getsockname()[1]


@contextlib.contextmanager
def held_port(host: str, port: int) -> Generator[None]:
    """Keep a port that processes of this user are to share.

    Sharing (SO_REUSEPORT) is silent: a second mesh would get a part of the calls of the first. The socket here never
    listens and so gets no calls; it only makes the port taken to whoever asks for it alone, as `claim_port` does, even
    before the first worker listens and while all of them are down.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # What remains of a stranger's connections may be in the way for a minute; then the workers alone keep the port.
        with contextlib.suppress(OSError):
            holder.bind((host, port))
        yield


def _taken(port: int) -> StateError:
    holder = holder_of(port)
    who = f"process {holder.pid} ({holder.command})" if holder else "a process that cannot be seen from here"
    stop = f"stop it (kill {holder.pid}), or " if holder else ""
    return StateError(
        f"port {port} is taken by {who}", hint=f"{stop}take another port: automarket up --port {port + 1}"
    )


def holder_of(port: int) -> Holder | None:
    """Find the process that listens on a TCP port; None when it cannot be seen."""
    wanted = _sockets(port)
    if not wanted:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        if _owns(process, wanted):
            return Holder(int(process.name), _command(process))
    return None


def listens(pid: int, port: int) -> bool:
    """Tell whether a process listens on a TCP port."""
    return _owns(Path(f"/proc/{pid}"), _sockets(port))


def _sockets(port: int) -> set[str]:
    return {f"socket:[{inode}]" for inode in _listening_inodes(port)}


def _listening_inodes(port: int) -> Iterator[str]:
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():
            continue
        for line in table.read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                yield columns[9]


def _owns(process: Path, sockets: set[str]) -> bool:
    try:
        return any(str(descriptor.readlink()) in sockets for descriptor in (process / "fd").iterdir())
    except OSError:  # not ours to see, or gone
        return False


def _command(process: Path) -> str:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return "gone by now"
    text = " ".join(word.decode(errors="replace") for word in words if word)
    return text if len(text) <= 120 else f"{text[:117]}..."
