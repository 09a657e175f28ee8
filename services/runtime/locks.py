"""Files that say, across processes, who uses a backend and who starts it.

    <name>.lease   shared while a call uses the backend, exclusive while somebody stops it; its time of change is when
                   the backend was used last
    <name>.work    shared while a call that waits no more works with it: it may then answer no probe
    <name>.start   exclusive while somebody starts it; holds how far that is
    <group>.group  exclusive while a backend of an exclusive group starts

They are `flock` locks: the kernel gives them up when their process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from automarket.errors import ServiceStartFailed
from automarket.service_status import ServiceState, ServiceStatus

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


class FileLock:
    """One lock of this object on a file; other objects of the same process are others to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    @property
    def held(self) -> bool:
        """It is taken by this object."""
        return self._file is not None

    def take(self, *, shared: bool = False) -> bool:
        """Take the lock if nobody is in the way; never waits."""
        if self._file is not None:
            return True
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            message = f"cannot lock {self.path}: {error.strerror}"
            raise ServiceStartFailed(message, hint="set AUTOMARKET_<NAME>_STATE_DIR to a folder of yours") from error
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return False
        self._file = file
        return True

    def release(self) -> None:
        """Give it up; nothing when it is not held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def write(self, text: str) -> None:
        """Say something to those who wait for the lock."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, text.encode(), 0)


@contextmanager
def taken(lock: FileLock) -> Generator[bool]:
    """Hold a lock for a block, or tell that somebody else has it."""
    got = lock.take()
    try:
        yield got
    finally:
        if got:
            lock.release()


class BackendLocks:
    """Who uses and who starts one backend: calls are counted in this process, locks tell other processes.

    Args:
        state_dir: folder of the locks; None for a backend that nobody starts or stops.
        name: the backend.
    """

    def __init__(self, state_dir: Path | None, name: str) -> None:
        self._lease_path = state_dir / f"{name}.lease" if state_dir else None
        self._work_path = state_dir / f"{name}.work" if state_dir else None
        self._start_path = state_dir / f"{name}.start" if state_dir else None
        self._lease = FileLock(self._lease_path) if self._lease_path else None
        self._work = FileLock(self._work_path) if self._work_path else None
        self._since = time.time()
        self.calls = 0
        """Calls of this process that use the backend or wait for it."""
        self.working = 0
        """Those of them that do not wait any more."""

    def enter(self) -> None:
        """Count a call, before it may use the backend."""
        self.calls += 1

    def share(self) -> bool:
        """Let the calls of this process use the backend; false while somebody stops it."""
        if self._lease is None:
            return True
        got = self._lease.take(shared=True)
        if got:
            self.touch()
        return got

    def leave(self) -> None:
        """Count a call off."""
        self.calls -= 1
        if self._lease is not None and self._lease.held:
            self.touch()
            if not self.calls:
                self._lease.release()

    def begin_work(self) -> None:
        """Count a call that waits no more."""
        self.working += 1
        if self._work is not None:
            self._work.take(shared=True)

    def end_work(self) -> None:
        """Count it off."""
        self.working -= 1
        if self._work is not None and not self.working:
            self._work.release()

    def in_use(self) -> bool:
        """Tell whether a call of any process uses the backend, or waits for it."""
        return bool(self.calls) or _is_held(self._lease_path)

    def worked_on(self) -> bool:
        """Tell whether a call of any process works with the backend."""
        return bool(self.working) or _is_held(self._work_path)

    def touch(self) -> None:
        """Count this moment as one of use."""
        self._since = time.time()
        if self._lease_path is not None:
            with suppress(OSError):
                os.utime(self._lease_path)

    def unused_seconds(self) -> float:
        """Tell how long no call of any process has used the backend, as far as this process can know."""
        used = self._since
        if self._lease_path is not None:
            with suppress(OSError):
                used = max(used, self._lease_path.stat().st_mtime)
        return 0.0 if self.calls else max(0.0, time.time() - used)

    @contextmanager
    def stopping(self) -> Generator[bool]:
        """Keep everybody away from the backend for a block, or tell that somebody uses or starts it."""
        with ExitStack() as held:
            paths = [path for path in (self._start_path, self._lease_path) if path]
            yield all(held.enter_context(taken(FileLock(path))) for path in paths)

    def start_lock(self) -> FileLock | None:
        """Give the lock of whoever starts the backend."""
        return FileLock(self._start_path) if self._start_path else None

    def told(self) -> ServiceStatus:
        """Give how far the process is that starts the backend, as it told."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            said = json.loads(self._start_path.read_text(encoding="utf-8") if self._start_path else "")
            state, message, fraction = ServiceState(said["state"]), str(said["message"]), said["fraction"]
            return ServiceStatus(state, running=False, healthy=False, fraction=fraction, message=message)
        message = "another process is starting it"
        return ServiceStatus(ServiceState.STARTING, running=False, healthy=False, message=message)


def _is_held(path: Path | None) -> bool:
    if path is None or not path.exists():
        return False
    with taken(FileLock(path)) as free:
        return not free


def tell(lock: FileLock, status: ServiceStatus) -> None:
    """Let those who wait for a start know how far it is."""
    lock.write(json.dumps({"state": status.state, "fraction": status.fraction, "message": status.message}))
