"""The SQLite file of control: jobs, their events, and what was spent.

One thread owns the connection. What is asked for while it writes is done together in the next transaction, so that
many jobs share one wait for the disk; each piece of work is all or nothing by itself. An answer means that what was
written outlasts a power cut.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, TypeVar, cast

from automarket.errors import AutoMarketError, DatabaseDamaged, DiskFull, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

log = logging.getLogger("automarket.control")

T = TypeVar("T")

MOST_TOGETHER = 64
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class _Piece:
    """One piece of work, and who waits for it."""

    __slots__ = ("error", "future", "loop", "result", "work")

    def __init__(self, work: Callable[[sqlite3.Connection], Any]) -> None:
        self.work = work
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def answer(self) -> None:
        """Tell whoever waits; nobody may be left."""
        if not self.future.done():
            if self.error is None:
                self.future.set_result(self.result)
            else:
                self.future.set_exception(self.error)


class Database:
    """One file, or memory.

    Args:
        path: the file; None keeps everything in memory, which ends with the process.
        migrations: statements that bring the file from each version to the next.
    """

    def __init__(self, path: Path | None, migrations: Sequence[str]) -> None:
        self._path = path
        self._migrations = migrations
        self._pieces: queue.SimpleQueue[_Piece | None] = queue.SimpleQueue()
        self._fault: Exception | None = None
        self._connection = self._open()
        self._thread = threading.Thread(target=self._work, name="automarket-database", daemon=True)
        self._thread.start()

    @property
    def is_durable(self) -> bool:
        """Whether it is a file."""
        return self._path is not None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do a piece of work on the connection, all or nothing; when it has come back, it is on the disk.

        Raises:
            DiskFull: there is no room, or the disk does not take it.
            DatabaseDamaged: the file cannot be read; control goes on without.
        """
        if self._fault is not None:
            raise _again(self._fault)
        piece = _Piece(work)
        self._pieces.put(piece)
        return await piece.future

    async def close(self) -> None:
        """Do what was asked for, and close the file."""
        self._pieces.put(None)
        await asyncio.to_thread(self._thread.join)

    # --- in the thread ---

    def _open(self) -> sqlite3.Connection | None:
        try:
            return _open(self._path, self._migrations)
        except sqlite3.Error as error:
            log.exception("the database cannot be opened", extra={"file": str(self._path)})
            self._fault = self._explained(error)
            return None

    def _work(self) -> None:
        while True:
            first = self._pieces.get()
            pieces = [] if first is None else [first]
            ends = first is None
            while not ends and len(pieces) < MOST_TOGETHER and not self._pieces.empty():
                more = self._pieces.get()
                ends = more is None
                pieces += [] if more is None else [more]
            if pieces:
                self._do(pieces)
            if ends:
                break
        if self._connection is not None:
            self._connection.close()

    def _do(self, pieces: list[_Piece]) -> None:
        try:
            self._together(pieces)
        except Exception as error:  # noqa: BLE001 - whoever waits has to hear of it
            for piece in pieces:
                piece.error = self._explained(error)
        loop = pieces[0].loop
        if not loop.is_closed():
            loop.call_soon_threadsafe(_answer, pieces)

    def _together(self, pieces: list[_Piece]) -> None:
        """Do pieces of work in one transaction; one that fails takes back its own part alone."""
        connection = cast("sqlite3.Connection", self._connection)
        connection.execute("BEGIN IMMEDIATE")
        try:
            for piece in pieces:
                connection.execute("SAVEPOINT piece")
                try:
                    piece.result = piece.work(connection)
                except Exception as error:
                    if not connection.in_transaction:  # without room, SQLite takes all of it back
                        raise
                    connection.execute("ROLLBACK TO piece")
                    piece.error = self._explained(error)
                connection.execute("RELEASE piece")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _explained(self, error: Exception) -> Exception:
        """Give a fault of SQLite as what it means; other errors as they are."""
        if not isinstance(error, sqlite3.Error):
            return error
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _NO_ROOM:
            return DiskFull(f"control cannot write its database: {error}", hint="free some room", retry_after=5.0)
        other = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
        if code in _DAMAGED or other:
            return DatabaseDamaged(
                f"control's database is damaged: {error}",
                hint=f"put {self._path.name if self._path else 'it'} aside in control's data folder and start control "
                "anew; jobs and usage in it are lost then",
            )
        return UnavailableError(f"control's database does not answer: {error}", retry_after=1.0)


def _answer(pieces: list[_Piece]) -> None:
    for piece in pieces:
        piece.answer()


def _again(error: Exception) -> Exception:
    """Give an error anew: one that is raised often would grow its traceback."""
    if not isinstance(error, AutoMarketError):
        return error
    return type(error)(error.message, hint=error.hint, retry_after=error.retry_after)


def _open(path: Path | None, migrations: Sequence[str]) -> sqlite3.Connection:
    if path is not None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    connection = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if path is not None:
            path.chmod(0o600)
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)  # noqa: TRY301 - the connection is closed in one place
        _migrate(connection, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(migrations):
        message = f"it was written by a newer version of control (its version is {version})"
        raise sqlite3.DatabaseError(message)
    for number, statements in enumerate(migrations[version:], version + 1):
        connection.executescript(f"BEGIN IMMEDIATE;{statements};PRAGMA user_version = {number};COMMIT;")
