"""The SQLite file behind the index. Every call blocks; threads take turns."""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from automarket.errors import DiskFull

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

log = logging.getLogger("asset_store")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS assets (
    digest TEXT PRIMARY KEY, size INTEGER NOT NULL, media_type TEXT NOT NULL, roles INTEGER NOT NULL, media_info BLOB,
    created INTEGER NOT NULL, accessed INTEGER NOT NULL, lineage BLOB, derived INTEGER NOT NULL,
    file_name TEXT NOT NULL, corrupt INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS assets_by_time ON assets (created, digest);
CREATE INDEX IF NOT EXISTS assets_by_use ON assets (derived, accessed);
CREATE TABLE IF NOT EXISTS parents (
    parent TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (parent, digest)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS parents_by_child ON parents (digest);
CREATE TABLE IF NOT EXISTS casts (
    source TEXT NOT NULL, spec TEXT NOT NULL, result TEXT NOT NULL, PRIMARY KEY (source, spec)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (
    upload_id TEXT PRIMARY KEY, header BLOB NOT NULL, checkpoint INTEGER NOT NULL, boot TEXT NOT NULL,
    updated REAL NOT NULL, digest TEXT
) WITHOUT ROWID;
"""


class Database:
    """One connection, shared by threads.

    A file that SQLite cannot read is set aside and made anew: the content says what there is.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        try:
            self._connection = _open(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            log.exception("the index is damaged and made anew", extra={"file": str(path)})
            path.replace(path.with_suffix(".damaged"))
            for leftover in ("-wal", "-shm"):
                path.with_name(path.name + leftover).unlink(missing_ok=True)
            self._connection = _open(path)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def query(self, sql: str, *values: Any) -> list[Any]:
        """Give the rows that a statement finds."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Generator[sqlite3.Connection]:
        """Change the file, all or nothing; with `durable` it outlasts a power cut. May be nested.

        Raises:
            DiskFull: there is no room.
        """
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
                return
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                with self._connection:
                    yield self._connection
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                    raise DiskFull(f"the index cannot be written: {error}", hint="free some room") from error
                raise


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        _check(connection)
        connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(found)
