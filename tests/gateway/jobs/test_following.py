"""What watchers get of a job: from a real runner over a real database, without any provider."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from automarket.errors import DatabaseDamaged, DiskFull, EventsTrimmed, JobUnknown, WatcherTooSlow
from automarket.v1 import job_service_pb2 as pb
from automarket.v1 import transform_pb2
from gateway.control.database import Database
from gateway.control.jobs.retention import forget_old
from gateway.control.jobs.runner import Runner
from gateway.control.jobs.settings import JobSettings
from gateway.control.jobs.store import JobStore
from gateway.control.jobs.texts import Gathering
from gateway.control.jobs.watching import Following
from gateway.control.registry import Registry
from gateway.control.routes import Routes
from gateway.control.schema import MIGRATIONS
from gateway.control.usage.ledger import Ledger


def _progress(message="on its way", **more):
    return transform_pb2.TransformEvent(progress=transform_pb2.Progress(phase="running", message=message, **more))


def _delta(*tokens, output=0):
    return transform_pb2.TransformEvent(text_delta=transform_pb2.TextDelta(output=output, tokens=tokens))


class Kept:
    """A runner over a database file."""

    def __init__(self, path, **settings) -> None:
        registry = Registry(settle_seconds=0)
        self.settings = JobSettings(**settings)
        self.database = Database(path, MIGRATIONS)
        self.store = JobStore(self.database, self.settings.max_events)
        self.ledger = Ledger(self.database)
        routes = Routes(registry, control="", asset_store="")
        self.runner = Runner(self.store, self.ledger, registry, routes, settings=self.settings)

    async def job(self):
        """Make a job that nobody works on."""
        request = pb.CreateJobRequest()
        request.target.model = "nothing"
        request.header.request_id = str(uuid.uuid4())
        job = pb.Job(id=request.header.request_id, state=pb.JOB_STATE_RUNNING, target=request.target)
        kept, _ = await self.store.create(request, job, b"print")
        return self.runner.take_up(kept)

    async def follow(self, work, after=0):
        return [item async for item in Following(self.runner, await self.runner.find(work.job.id), after).all()]


@pytest.fixture
async def kept(tmp_path):
    made = Kept(tmp_path / "control.db", max_events=10, slow_seconds=0.2)
    yield made
    await made.runner.close()
    await made.database.close()


async def _ended(kept, work):
    work.job.state = pb.JOB_STATE_DONE
    work.job.end_time.GetCurrentTime()
    await work.keep(kept.store, [transform_pb2.TransformEvent(finished=transform_pb2.Finished())])


async def test_events_beyond_those_that_are_kept_are_trimmed_and_the_oldest_is_named(kept):
    work = await kept.job()
    for number in range(24):
        await work.keep(kept.store, [_progress(f"step {number}")])
    await _ended(kept, work)
    with pytest.raises(EventsTrimmed) as caught:
        await kept.follow(work, after=3)
    assert caught.value.metadata["oldest"] == "16"
    items = await kept.follow(work, after=15)
    assert [item.sequence for item in items if isinstance(item, transform_pb2.TransformEvent)] == list(range(16, 26))


async def test_a_watcher_that_does_not_read_is_told_to_come_back_and_misses_nothing(kept):
    work = await kept.job()
    await work.keep(kept.store, [_progress("one"), _progress("two")])
    following = Following(kept.runner, work, 0).all()
    assert (await anext(following)).sequence == 1
    await asyncio.sleep(0.3)
    with pytest.raises(WatcherTooSlow) as caught:
        await anext(following)
    assert caught.value.hint == "watch again from event 1"
    await _ended(kept, work)
    assert [item.sequence for item in await kept.follow(work, after=1) if not isinstance(item, pb.Job)] == [2, 3]


async def test_many_watchers_of_one_job_see_the_same_while_it_goes_on(kept):
    for _ in range(25):
        work = await kept.job()
        watching = [asyncio.create_task(kept.follow(work)) for _ in range(5)]
        for number in range(8):
            await work.keep(kept.store, [_progress(f"step {number}")])
        await _ended(kept, work)
        seen = [[item for item in await one if not isinstance(item, pb.Job)] for one in watching]
        assert all(events == seen[0] for events in seen)
        assert [event.sequence for event in seen[0]] == list(range(1, 10))


async def test_what_cannot_be_written_changes_nothing_and_is_written_when_there_is_room(kept):
    work = await kept.job()
    await work.keep(kept.store, [_progress("kept")])
    pages = await kept.database.run(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    await kept.database.run(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    large = [_progress("x" * 2000, log_lines=["y" * 2000] * 20) for _ in range(5)]
    with pytest.raises(DiskFull):
        await work.keep(kept.store, large)
    assert work.job.last_sequence == 1
    await kept.database.run(lambda c: c.execute("PRAGMA max_page_count = 100000").fetchone())
    await work.keep(kept.store, large)
    assert work.job.last_sequence == 6


async def test_a_damaged_file_says_what_to_do(tmp_path):
    path = tmp_path / "control.db"
    path.write_bytes(b"this is no database" * 1000)
    database = Database(path, MIGRATIONS)
    for _ in range(2):
        with pytest.raises(DatabaseDamaged) as caught:
            await JobStore(database).get("any")
        assert "control.db" in (caught.value.hint or "")
    await database.close()


async def test_a_newer_file_is_not_touched(tmp_path):
    newer = Database(tmp_path / "control.db", [*MIGRATIONS, "CREATE TABLE more (a)"])
    await newer.close()
    older = Database(tmp_path / "control.db", MIGRATIONS)
    with pytest.raises(DatabaseDamaged, match="newer version"):
        await JobStore(older).get("any")
    await older.close()


async def test_old_jobs_are_forgotten_by_age_and_by_number_but_never_those_of_the_last_day(tmp_path):
    kept = Kept(tmp_path / "control.db", keep_count=2, keep_at_least_seconds=0.0)
    works = []
    for _ in range(5):
        works.append(await kept.job())
        await _ended(kept, works[-1])
        kept.runner.lines.leave(works[-1])
        kept.runner._works.pop(works[-1].job.id)
    careful = JobSettings(keep_count=2)
    await forget_old(kept.store, kept.ledger, careful)
    assert (await kept.store.get(works[0].job.id)).job.id == works[0].job.id
    await forget_old(kept.store, kept.ledger, kept.settings)
    for work in works[:3]:
        with pytest.raises(JobUnknown):
            await kept.store.get(work.job.id)
    for work in works[3:]:
        assert (await kept.store.get(work.job.id)).job.id == work.job.id
    await kept.runner.close()
    await kept.database.close()


def test_text_is_gathered_until_something_else_happens():
    texts = Gathering(every=60)
    assert texts.add(_delta("a ")) == []
    assert texts.add(_delta("red ", "kite")) == []
    assert texts.left is not None
    other, progress = texts.add(_progress())
    assert list(other.text_delta.tokens) == ["a ", "red ", "kite"]
    assert progress.progress.phase == "running"
    assert texts.take() == []
    texts.add(_delta("one"))
    (first,) = texts.add(_delta("two", output=1))
    assert list(first.text_delta.tokens) == ["one"]
    assert [list(event.text_delta.tokens) for event in texts.take()] == [["two"]]


def test_more_text_than_an_event_holds_is_given_at_once():
    texts = Gathering(every=60)
    assert texts.add(_delta("x" * 60_000)) == []
    assert len(texts.add(_delta("y" * 60_000))) == 1
