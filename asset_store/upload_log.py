"""What the index remembers of uploads: their headers, and how far they are for certain. Every call blocks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asset_store.database import Database
    from asset_store.part import Plan


@dataclass(frozen=True, slots=True)
class Record:
    """One upload.

    Attributes:
        header: the header's bytes; another one under the same id is a conflict.
        checkpoint: so many bytes are on the disk even after a power cut.
        boot: the run of the machine that wrote it; in the same one all that was written is still there.
        digest: what it became; None while it is not complete.
    """

    header: bytes
    checkpoint: int
    boot: str
    digest: str | None


def current_boot() -> str:
    """Give a name of the machine's present run; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class UploadLog:
    """Uploads by their id."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._boot = current_boot()

    def find(self, upload_id: str) -> Record | None:
        """Give what is known of an upload."""
        sql = "SELECT header, checkpoint, boot, digest FROM uploads WHERE upload_id = ?"
        rows = self._database.query(sql, upload_id)
        return Record(*rows[0]) if rows else None

    def same_boot(self, record: Record) -> bool:
        """Tell whether the machine has run without a break since the upload was written."""
        return record.boot == self._boot

    def begin(self, plan: Plan, offset: int) -> None:
        """Note that an upload begins, or goes on, at an offset."""
        row = (plan.upload_id, plan.header, offset, self._boot, time.time())
        with self._database.transaction() as change:
            change.execute("INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?, NULL)", row)

    def checkpoint(self, upload_id: str, offset: int) -> None:
        """Note that so many bytes are on the disk for certain."""
        with self._database.transaction(durable=True) as change:
            values = (offset, time.time(), upload_id)
            change.execute(
                "UPDATE uploads SET checkpoint = max(checkpoint, ?), updated = ? WHERE upload_id = ?", values
            )

    def complete(self, upload_id: str, digest: str) -> None:
        """Note what an upload became."""
        with self._database.transaction(durable=True) as change:
            values = (digest, time.time(), upload_id)
            change.execute("UPDATE uploads SET digest = ?, updated = ? WHERE upload_id = ?", values)

    def forget(self, upload_id: str) -> None:
        """Drop an upload."""
        with self._database.transaction() as change:
            change.execute("DELETE FROM uploads WHERE upload_id = ?", (upload_id,))

    def ids(self, *, idle_seconds: float = 0.0) -> set[str]:
        """Give the uploads that have not gone on for so long."""
        rows = self._database.query("SELECT upload_id FROM uploads WHERE updated <= ?", time.time() - idle_seconds)
        return {upload_id for (upload_id,) in rows}
