"""Jobs in the database. What is given back has been written for good."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from automarket.errors import JobUnknown, RequestIdReused
from automarket.v1 import job_service_pb2 as pb
from automarket.v1 import transform_pb2
from gateway.control.jobs.states import ENDED

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from gateway.control.database import Database

_ENDED_LIST = ",".join(str(int(state)) for state in sorted(ENDED))


class Stage(IntEnum):
    """How far the calls of a job got, whatever came of them."""

    NEW = 0  # nobody was asked
    ASKED = 1  # a provider was asked; whether it began is not known
    ACCEPTED = 2  # the backend or the vendor has taken the work


@dataclass(frozen=True, slots=True)
class Kept:
    """A job as the database has it.

    Attributes:
        number: order of creation.
        checkpoint: state of the last checkpoint; empty where none came.
        oldest: number of the oldest event that is kept.
    """

    number: int
    job: pb.Job
    checkpoint: bytes = b""
    stage: Stage = Stage.NEW
    oldest: int = 1


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be written of a job, made where the job is known: the database's thread sees bytes alone."""

    number: int
    state: int
    provider: str
    job: bytes
    checkpoint: bytes
    stage: Stage
    events: Sequence[tuple[int, bytes]] = ()
    ended: float = 0.0
    webhook: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs are listed: those before a number that fit all that is set, newest first."""

    states: tuple[int, ...] = ()
    provider: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    before: int = 0
    most: int = 100


class JobStore:
    """The jobs of a mesh.

    Args:
        database: where they are.
        most_events: events that are kept of one job; the oldest go first.
    """

    def __init__(self, database: Database, most_events: int = 10_000) -> None:
        self.database = database
        self._most_events = most_events

    async def create(
        self, request: pb.CreateJobRequest, job: pb.Job, fingerprint: bytes, line: str = ""
    ) -> tuple[Kept, bool]:
        """Keep a new job that waits for a provider; give it, and whether it is new: an equal one may be there already.

        Raises:
            RequestIdReused: a job of that id asks for something else.
        """
        data, body = request.SerializeToString(), job.SerializeToString()
        labels = tuple(job.labels.items())

        def work(connection: sqlite3.Connection) -> tuple[Kept, bool]:
            there = _found(connection, job.id)
            if there is not None:
                _check_same(connection, job.id, fingerprint)
                return there, False
            cursor = connection.execute(
                "INSERT INTO jobs (id, state, provider, request, fingerprint, job) VALUES (?, ?, ?, ?, ?, ?)",
                (job.id, job.state, line, data, fingerprint, body),
            )
            number = cursor.lastrowid or 0
            connection.executemany("INSERT INTO labels VALUES (?, ?, ?)", [(*pair, number) for pair in labels])
            return Kept(number, job), True

        return await self.database.run(work)

    async def same(self, job_id: str, fingerprint: bytes) -> Kept | None:
        """Give the job of that id when there is one that asks for the same.

        Raises:
            RequestIdReused: it asks for something else.
        """

        def work(connection: sqlite3.Connection) -> Kept | None:
            there = _found(connection, job_id)
            if there is not None:
                _check_same(connection, job_id, fingerprint)
            return there

        return await self.database.run(work)

    async def get(self, job_id: str) -> Kept:
        """Give a job.

        Raises:
            JobUnknown: there is none of that id.
        """
        found = await self.database.run(lambda connection: _found(connection, job_id))
        if found is None:
            raise JobUnknown(f"there is no job {job_id[:80]!r}", hint="automarket jobs ls lists them")
        return found

    async def request(self, number: int) -> pb.CreateJobRequest:
        """Give what a job was created with.

        Raises:
            JobUnknown: it was forgotten meanwhile.
        """

        def work(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute("SELECT request FROM jobs WHERE number = ?", (number,)).fetchone()
            return None if row is None else row[0]

        found = await self.database.run(work)
        if found is None:
            raise JobUnknown("the job is no longer kept", hint="automarket jobs ls lists those that are")
        return pb.CreateJobRequest.FromString(found)

    async def open_jobs(self) -> list[Kept]:
        """Give all jobs that have not ended, in the order in which they were created."""

        def work(connection: sqlite3.Connection) -> list[Kept]:
            where = f"state NOT IN ({_ENDED_LIST}) ORDER BY number"
            return [_kept(row) for row in connection.execute(f"{_SELECT} WHERE {where}")]

        return await self.database.run(work)

    async def list(self, wanted: Filter) -> list[Kept]:
        """Give the jobs that fit."""
        sql, values = _listing(wanted)
        return await self.database.run(lambda connection: [_kept(row) for row in connection.execute(sql, values)])

    async def write(self, change: Change, also: Callable[[sqlite3.Connection], None] | None = None) -> None:
        """Write what changed of a job, and `also` what belongs to it, all or nothing."""
        most = self._most_events

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE jobs SET state = ?, provider = ?, job = ?, checkpoint = ?, stage = ?, ended = ? "
                "WHERE number = ?",
                (
                    change.state,
                    change.provider,
                    change.job,
                    change.checkpoint,
                    change.stage,
                    int(change.ended * 1000),
                    change.number,
                ),
            )
            if change.events:
                rows = ((change.number, *event) for event in change.events)
                connection.executemany("INSERT INTO events VALUES (?, ?, ?)", rows)
                _trim(connection, change.number, change.events[-1][0] - most)
            if change.webhook:
                row = (change.number, change.webhook, int(change.ended * 1000))
                connection.execute("INSERT OR IGNORE INTO webhooks VALUES (?, ?, ?, 0)", row)
            if also is not None:
                also(connection)

        await self.database.run(work)

    async def events(self, number: int, after: int, most: int) -> Sequence[transform_pb2.TransformEvent]:
        """Give events after a number, in order."""

        def work(connection: sqlite3.Connection) -> list[bytes]:
            sql = "SELECT event FROM events WHERE number = ? AND sequence > ? ORDER BY sequence LIMIT ?"
            return [row[0] for row in connection.execute(sql, (number, after, most))]

        return [transform_pb2.TransformEvent.FromString(data) for data in await self.database.run(work)]

    async def oldest(self, number: int) -> int:
        """Give the number of the oldest event that is kept."""

        def work(connection: sqlite3.Connection) -> int:
            row = connection.execute("SELECT oldest FROM jobs WHERE number = ?", (number,)).fetchone()
            return int(row[0]) if row else 0

        return await self.database.run(work)

    async def forget(self, *, ended_before: float, most: int, kept_after: float) -> int:
        """Forget jobs that ended before a moment, and the oldest ones beyond so many; give how many.

        Args:
            ended_before: seconds of the epoch.
            most: so many ended jobs are kept.
            kept_after: what ended since is kept however many there are: its request_id may come again.
        """

        def work(connection: sqlite3.Connection) -> int:
            old = "SELECT number FROM jobs WHERE ended > 0 AND ended < ?"
            beyond = (
                "SELECT number FROM (SELECT number, ended FROM jobs WHERE ended > 0 "
                "ORDER BY ended DESC, number DESC LIMIT -1 OFFSET ?) WHERE ended < ?"
            )
            values = (int(ended_before * 1000), most, int(kept_after * 1000))
            gone = connection.execute(f"{old} UNION {beyond} LIMIT 500", values).fetchall()
            for table in ("events", "labels", "webhooks", "jobs"):
                connection.executemany(f"DELETE FROM {table} WHERE number = ?", gone)  # noqa: S608 - names of ours
            return len(gone)

        return await self.database.run(work)


_SELECT = "SELECT number, job, checkpoint, stage, oldest FROM jobs"


def _kept(row: Sequence[object]) -> Kept:
    number, job, checkpoint, stage, oldest = row
    assert isinstance(number, int) and isinstance(job, bytes)  # noqa: S101, PT018 - the columns' types
    assert isinstance(checkpoint, bytes) and isinstance(stage, int) and isinstance(oldest, int)  # noqa: S101, PT018
    return Kept(number, pb.Job.FromString(job), checkpoint, Stage(stage), oldest)


def _found(connection: sqlite3.Connection, job_id: str) -> Kept | None:
    row = connection.execute(f"{_SELECT} WHERE id = ?", (job_id,)).fetchone()
    return None if row is None else _kept(row)


def _check_same(connection: sqlite3.Connection, job_id: str, fingerprint: bytes) -> None:
    row = connection.execute("SELECT fingerprint FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row[0] != fingerprint:
        raise RequestIdReused(
            f"job {job_id} asks for something else",
            hint="a new job needs a new request_id",
            fields={"header.request_id": "belongs to another job"},
        )


def _trim(connection: sqlite3.Connection, number: int, last: int) -> None:
    """Forget the events up to a number."""
    if last > 0:
        connection.execute("DELETE FROM events WHERE number = ? AND sequence <= ?", (number, last))
        connection.execute("UPDATE jobs SET oldest = ? WHERE number = ?", (last + 1, number))


def _listing(wanted: Filter) -> tuple[str, list[object]]:
    conditions: list[str] = []
    values: list[object] = []

    def add(condition: str, *more: object) -> None:
        conditions.append(condition)
        values.extend(more)

    if wanted.before:
        add("number < ?", wanted.before)
    if wanted.states:
        add(f"state IN ({','.join('?' * len(wanted.states))})", *wanted.states)
    if wanted.provider:
        add("provider = ?", wanted.provider)
    for key, value in wanted.labels:
        add("number IN (SELECT number FROM labels WHERE key = ? AND value = ?)", key, value)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"{_SELECT}{where} ORDER BY number DESC LIMIT ?", [*values, wanted.most]
