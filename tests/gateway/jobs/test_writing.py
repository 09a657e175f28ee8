"""Jobs while they are written: whoever asked may go away in the midst of it, and the disk may take nothing."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import asynccontextmanager, suppress

import pytest

from automarket.errors import DiskFull, JobCancelled
from automarket.v1 import job_service_pb2 as pb
from automarket.v1 import transform_pb2
from gateway.control.database import Database
from gateway.control.jobs.intake import fingerprint_of
from gateway.control.jobs.runner import Runner
from gateway.control.jobs.settings import JobSettings
from gateway.control.jobs.states import set_time
from gateway.control.jobs.store import JobStore
from gateway.control.registry import Registry
from gateway.control.routes import Routes
from gateway.control.schema import MIGRATIONS
from gateway.control.usage.ledger import Ledger
from tests.support.jobs_mesh import asking, jobs_mesh


class HeldStore(JobStore):
    """Jobs in the database, which takes nothing while it is held, and refuses what is in `refuses`."""

    def __init__(self, database) -> None:
        super().__init__(database)
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.refuses: set[bytes] = set()

    async def write(self, change, also=None):
        await self.may_go.wait()
        if change.checkpoint in self.refuses:
            raise DiskFull("no room")
        await super().write(change, also)


@asynccontextmanager
async def runner_in(folder):
    """Give a runner over a database, with nobody in its mesh."""
    database = Database(folder / "control.db", MIGRATIONS)
    registry = Registry(settle_seconds=60.0)
    routes = Routes(registry, control="unix:nowhere", asset_store="")
    runner = Runner(HeldStore(database), Ledger(database), registry, routes, settings=JobSettings())
    await runner.start()
    try:
        yield runner
    finally:
        runner.store.may_go.set()
        await runner.close()
        registry.close()
        await database.close()


def _asked():
    request = asking()
    return request, pb.Job(id=request.header.request_id, state=pb.JOB_STATE_QUEUED, target=request.target)


async def _new(runner):
    request, job = _asked()
    return await runner.admit(request, job, fingerprint_of(request))


def _progress(message):
    return transform_pb2.TransformEvent(progress=transform_pb2.Progress(phase="queued", message=message))


async def _left(waiting):
    """Leave what waits."""
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting


async def test_an_event_whose_writer_goes_away_is_written_and_the_next_one_follows_it(tmp_path):
    async with runner_in(tmp_path) as runner:
        work = await _new(runner)
        for number in range(20):
            writing = asyncio.ensure_future(work.keep(runner.store, [_progress(f"left {number}")]))
            for _ in range(number % 4):
                await asyncio.sleep(0)
            await _left(writing)
            await work.keep(runner.store, [_progress(f"stayed {number}")])
        events = await runner.store.events(work.number, 0, 100)
        assert [one.sequence for one in events] == list(range(1, work.job.last_sequence + 1))
        assert {f"stayed {number}" for number in range(20)} <= {one.progress.message for one in events}


async def test_what_is_written_after_a_write_that_failed_stays(tmp_path):
    async with runner_in(tmp_path) as runner:
        work = await _new(runner)
        runner.store.refuses.add(b"")
        runner.store.may_go.clear()
        failing = asyncio.ensure_future(work.keep(runner.store))
        await asyncio.sleep(0)
        work.checkpoint = b"paid"
        going = asyncio.ensure_future(work.keep(runner.store, [_progress("on its way")]))
        await asyncio.sleep(0)
        runner.store.may_go.set()
        with pytest.raises(DiskFull):
            await failing
        await going
        assert (work.checkpoint, work.job.last_sequence) == (b"paid", 1)


async def test_a_job_whose_creator_goes_away_in_the_midst_of_it_is_taken_up(tmp_path):
    async with runner_in(tmp_path) as runner:
        for yields in range(1, 8):
            request, job = _asked()
            creating = asyncio.ensure_future(runner.admit(request, job, fingerprint_of(request)))
            for _ in range(yields):
                await asyncio.sleep(0)
            await _left(creating)
            async with asyncio.timeout(5):
                while job.id not in runner.works:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)


async def test_a_cancel_that_comes_while_the_end_is_written_does_not_undo_it(tmp_path):
    async with runner_in(tmp_path) as runner:
        work = await _new(runner)
        runner.store.may_go.clear()
        work.job.state = pb.JOB_STATE_DONE
        set_time(work.job.end_time, time.time())
        ending = asyncio.ensure_future(work.keep(runner.store))
        await asyncio.sleep(0)
        cancelling = asyncio.ensure_future(runner.cancel(work))
        await asyncio.sleep(0.01)
        runner.store.may_go.set()
        await asyncio.gather(ending, cancelling)
        await runner.until_ended(work)
        assert (await runner.store.get(work.job.id)).job.state == pb.JOB_STATE_DONE


async def test_a_cancel_whose_caller_goes_away_is_a_cancel(tmp_path):
    async with runner_in(tmp_path) as runner:
        for yields in range(1, 8):
            work = await _new(runner)
            cancelling = asyncio.ensure_future(runner.cancel(work))
            for _ in range(yields):
                await asyncio.sleep(0)
            await _left(cancelling)
            async with asyncio.timeout(5):
                await runner.until_ended(work)
            assert work.job.state == pb.JOB_STATE_CANCELLED
            assert work.job.error.reason == JobCancelled.reason


async def test_a_job_that_nobody_takes_ends_after_its_attempts():
    async with jobs_mesh(AUTOMARKET_CONTROL_JOBS_MAX_ATTEMPTS="2") as (mesh, services):
        mesh.vendor.refusals[:] = [429] * 100
        job = await services.until_ended((await services.create(asking())).id)
        assert (job.state, job.error.reason, job.attempts) == (pb.JOB_STATE_FAILED, "RATE_LIMITED", 2)
        assert mesh.vendor.paid(job.id) == 0


async def test_what_cannot_be_resumed_is_not_begun_anew_when_the_database_failed_in_the_midst_of_it():
    async with jobs_mesh() as (mesh, services):
        mesh.vendor.holds.add("running")
        job = await services.create(asking(model="sketcher"))
        await mesh.vendor.until_reached("running", [job.id])
        await services.until(job.id, pb.JOB_STATE_RUNNING)
        other = sqlite3.connect(mesh.folder / "state" / "control.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        mesh.vendor.release()
        await asyncio.sleep(6)  # longer than SQLite waits
        other.close()
        job = await services.until_ended(job.id)
        assert (job.state, job.error.reason) == (pb.JOB_STATE_FAILED, "OUTCOME_UNKNOWN")
        assert mesh.vendor.paid(job.id) == 1
