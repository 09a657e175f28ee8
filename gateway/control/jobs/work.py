"""A job that has not ended, as the runner holds it, and how its watchers hear of changes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from automarket.v1 import job_service_pb2 as pb
from gateway.control.jobs.states import has_ended
from gateway.control.jobs.store import Change, Kept, Stage

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from automarket.errors import AutoMarketError
    from automarket.v1 import transform_pb2
    from gateway.control.jobs.store import JobStore


class News:
    """Wakes whoever waits for the next change. Take `next` before looking, so that nothing is missed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    @property
    def next(self) -> asyncio.Event:
        """What is set by the next change."""
        return self._event

    def tell(self) -> None:
        """Wake all that wait."""
        self._event.set()
        self._event = asyncio.Event()


@dataclass(slots=True, eq=False)
class Work:
    """A job that has not ended.

    Attributes:
        number: order of creation.
        job: as it is shown; what is in the database is never behind it by more than one write.
        checkpoint: state of the last checkpoint that was stored.
        stage: how far its calls got.
        line: the provider whose turn it waits for; empty while none is known.
        due: not to be begun before this (monotonic).
        blocked: why nobody could be asked the last time.
        since: when it began to wait for somebody who can be asked (monotonic); None while it does not.
        strikes: attempts in a row that brought it no further.
        refused: providers and models that refused it.
        cut: set when its end was asked for: its call under way has to end.
        news: of events and of its state.
        watchers: how many follow it.
        placed: its place in the line as the last event said it, and when (monotonic).
        webhook: who is told of its end; empty tells nobody.
        written: the job, its checkpoint and its stage as they were last written.
        turned_back: how often it was put back to what was last written, because a write failed.
        is_over: its end was written.
    """

    number: int
    job: pb.Job
    checkpoint: bytes = b""
    stage: Stage = Stage.NEW
    line: str = ""
    due: float = 0.0
    blocked: AutoMarketError | None = None
    since: float | None = None
    strikes: int = 0
    refused: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    cut: asyncio.Event = field(default_factory=asyncio.Event)
    news: News = field(default_factory=News)
    watchers: int = 0
    placed: tuple[int, float] = (-1, 0.0)
    webhook: str = ""
    task: asyncio.Task[None] | None = None
    written: tuple[bytes, bytes, Stage] = (b"", b"", Stage.NEW)
    turned_back: int = 0
    is_over: bool = False

    @classmethod
    def of(cls, kept: Kept, webhook: str = "") -> Work:
        """Take up a job that the database has."""
        work = cls(kept.number, kept.job, kept.checkpoint, kept.stage, webhook=webhook)
        work.written = (kept.job.SerializeToString(), kept.checkpoint, kept.stage)
        if kept.job.state == pb.JOB_STATE_CANCELLING:
            work.cut.set()
        return work

    @property
    def key(self) -> tuple[bool, int, int]:
        """Its place among those that wait: those that a vendor works on already first, then by priority and age."""
        return (not self.has_begun, -self.job.priority, self.number)

    @property
    def has_begun(self) -> bool:
        """Whether a provider was asked, so that the work may go on somewhere."""
        return self.stage > Stage.NEW

    @property
    def is_cancelled(self) -> bool:
        """Whether its end was asked for."""
        return self.cut.is_set()

    @property
    def has_ended(self) -> bool:
        """Whether it has come to its end, and that is on the disk."""
        return self.is_over

    async def keep(
        self,
        store: JobStore,
        events: Sequence[transform_pb2.TransformEvent] = (),
        also: Callable[[sqlite3.Connection], None] | None = None,
    ) -> None:
        """Write the job as it is now, with more events, and tell whoever waits for news.

        What was begun is written even when nobody waits for it any more: the job here is always as it is on the disk.

        Raises:
            AutoMarketError: it could not be written; the job is as it was before.
        """
        await asyncio.shield(asyncio.ensure_future(self._written(self._change(self._numbered(events)), store, also)))

    async def _written(
        self, change: Change, store: JobStore, also: Callable[[sqlite3.Connection], None] | None
    ) -> None:
        turned_back = self.turned_back
        try:
            await store.write(change, also)
        except BaseException:
            self.turned_back += 1
            self._be(self.written)
            raise
        self.written = (change.job, change.checkpoint, change.stage)
        if self.turned_back != turned_back:  # a write before this one failed meanwhile
            self._be(self.written)
        self.is_over = change.ended > 0
        self.news.tell()

    def _be(self, written: tuple[bytes, bytes, Stage]) -> None:
        data, self.checkpoint, self.stage = written
        self.job.ParseFromString(data)

    def _numbered(self, events: Sequence[transform_pb2.TransformEvent]) -> list[tuple[int, bytes]]:
        """Number events as the job's own; give them as the database keeps them."""
        numbered: list[tuple[int, bytes]] = []
        for event in events:
            self.job.last_sequence += 1
            event.sequence = self.job.last_sequence
            if not event.HasField("event_time"):
                event.event_time.FromNanoseconds(time.time_ns())
            numbered.append((event.sequence, event.SerializeToString()))
        return numbered

    def _change(self, events: Sequence[tuple[int, bytes]]) -> Change:
        ended = self.job.end_time.ToNanoseconds() / 1e9 if has_ended(self.job) else 0.0
        return Change(
            self.number,
            self.job.state,
            self.job.provider_id or self.line,
            self.job.SerializeToString(),
            self.checkpoint,
            self.stage,
            events,
            ended,
            self.webhook if ended else "",
        )
