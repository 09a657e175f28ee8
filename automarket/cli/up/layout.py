"""Where a mesh keeps its things: assets, logs, sockets."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from automarket.errors import StateError

# A Unix socket's path holds at most 107 bytes; the longest name below is "/provider-<20 characters>.sock".
_LONGEST_SOCKET_FOLDER = 70
_LONGEST_ID = 20


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders and files of one mesh.

    Attributes:
        data_dir: what is kept: assets, jobs, usage and logs.
        socket_dir: the Unix sockets of the processes, for this user only.
    """

    data_dir: Path
    socket_dir: Path

    @property
    def assets(self) -> Path:
        """The asset store's folder."""
        return self.data_dir / "assets"

    @property
    def state(self) -> Path:
        """Control's folder: jobs and usage."""
        return self.data_dir / "control"

    @property
    def logs(self) -> Path:
        """Where every process has its log."""
        return self.data_dir / "logs"

    @property
    def lock_file(self) -> Path:
        """What keeps a second mesh out of the data folder."""
        return self.data_dir / "up.lock"

    @property
    def known_providers(self) -> Path:
        """The providers of this machine, running or not, for control."""
        return self.data_dir / "known-providers.json"

    def socket(self, name: str) -> str:
        """Give the address of a process of the mesh."""
        return f"unix:{self.socket_dir / name}.sock"

    def provider_socket(self, provider_id: str) -> str:
        """Give the address of a provider server; ids that are too long for a socket's path are shortened."""
        if len(provider_id) > _LONGEST_ID:
            provider_id = f"{provider_id[:11]}-{hashlib.sha256(provider_id.encode()).hexdigest()[:8]}"
        return self.socket(f"provider-{provider_id}")


def default_data_dir() -> Path:
    """Give the folder of a mesh that was not told another: automarket in the user's data folder."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "automarket"


def lay_out(data_dir: Path) -> Layout:
    """Make the folders.

    Raises:
        StateError: a folder cannot be made or belongs to somebody else.
    """
    data_dir = data_dir.expanduser().absolute()
    layout = Layout(data_dir, _socket_dir(data_dir))
    try:
        for folder in (layout.data_dir, layout.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        layout.socket_dir.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"cannot make the folder {error.filename}: {error.strerror}", hint="name another one: --data-dir DIR"
        ) from None
    _check_private(layout.socket_dir)
    return layout


def _socket_dir(data_dir: Path) -> Path:
    folder = data_dir / "run"
    if len(os.fsencode(folder)) <= _LONGEST_SOCKET_FOLDER:
        return folder
    name = f"automarket-{os.getuid()}-{hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:8]}"
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    short = runtime if len(os.fsencode(runtime / name)) <= _LONGEST_SOCKET_FOLDER else Path("/tmp")  # noqa: S108 - checked to be ours
    return short / name


def _check_private(folder: Path) -> None:
    """Check that nobody else could put sockets there: the name in a shared folder can be guessed."""
    facts = folder.lstat()
    if folder.is_symlink() or facts.st_uid != os.getuid():
        raise StateError(f"{folder} belongs to somebody else", hint="name a data folder with a short path: --data-dir")
    folder.chmod(0o700)
