from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

import automarket
from automarket import JobState, UsageBy, sync
from automarket.client import events as e
from automarket.errors import InvalidRequestError, JobCancelled, JobUnknown, OptionInvalid, OptionUnknown
from tests.support.jobs_mesh import jobs_mesh

PAINTER = {"model": "painter", "provider": "slow"}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running():
    async with jobs_mesh(SLOW_PARALLEL="2") as (processes, _):
        yield processes


@pytest_asyncio.fixture(loop_scope="module")
async def mesh(running):
    async with automarket.connect(running.public) as connected:
        yield connected
    running.vendor.release()


async def test_a_job_is_created_found_and_gives_its_result_to_anybody_with_its_id(mesh):
    job = await mesh.jobs.create("a red kite", **PAINTER, priority=2, labels={"for": "poster"})
    (image,) = await mesh.jobs.result(job.id)
    assert image.media_type == "image/png"
    ended = await mesh.jobs.get(job.id)
    assert (ended.state, ended.model_id, ended.priority) == (JobState.DONE, "painter", 2)
    assert ended.cost == pytest.approx(0.04)
    assert ended.estimate is not None
    assert ended.estimate.cost == pytest.approx(0.04)
    assert [one.id async for one in mesh.jobs.list(labels={"for": "poster"}, states=[JobState.DONE])] == [job.id]
    again = await mesh.jobs.retry(job.id)
    assert again.retry_of == job.id
    assert (await mesh.jobs.result(again.id))[0].digest == image.digest
    with pytest.raises(JobUnknown):
        await mesh.jobs.get("00000000-0000-0000-0000-000000000000")


async def test_a_call_followed_as_a_job_gives_the_same_result_and_goes_on_when_it_is_left(mesh, running):
    (image,) = await mesh.transform("a red kite", **PAINTER, job=True)
    assert image.media_type == "image/png"
    running.vendor.holds.add("running")
    stream = mesh.stream("a blue kite", **PAINTER, job=True)
    async for event in stream:
        if isinstance(event, e.Progress):
            seen = event.sequence
            break
    await stream.aclose()
    running.vendor.release()
    rest = [item async for item in mesh.jobs.watch(stream.request_id, after=seen)]
    assert any(isinstance(item, e.Finished) for item in rest)
    numbers = [item.sequence for item in rest if isinstance(item, e.Event)]
    assert numbers == list(range(seen + 1, seen + 1 + len(numbers)))
    assert running.vendor.paid(stream.request_id) == 1
    with pytest.raises(InvalidRequestError):
        await mesh.transform("a red kite", **PAINTER, job=True, store=False)


async def test_inputs_that_are_made_while_they_are_sent_become_assets_of_the_job(mesh):
    async def words():
        for word in ("a ", "red ", "kite"):
            yield word.encode()

    (image,) = await mesh.transform(words(), **PAINTER, job=True)
    assert image.media_type == "image/png"
    job = await mesh.jobs.create(words(), **PAINTER)
    assert (await mesh.jobs.result(job.id))[0].digest == image.digest


async def test_a_watch_goes_on_when_control_was_away(mesh, running):
    running.vendor.holds.add("running")
    stream = mesh.stream("a red kite", **PAINTER, job=True)
    numbers = []
    async for event in stream:
        numbers.append(event.sequence)
        if event.sequence == 2:
            await running.vendor.until_reached("running", [stream.request_id])
            running.kill("control")
            running.start("control")
            running.vendor.release()
    assert numbers == list(range(1, len(numbers) + 1))
    assert (await stream.result())[0].media_type == "image/png"


async def test_a_cancelled_job_says_so_to_whoever_waits(mesh, running):
    running.vendor.holds.add("running")
    job = await mesh.jobs.create("a red kite", **PAINTER)
    waiting = asyncio.create_task(mesh.jobs.result(job.id))
    await running.vendor.until_reached("running", [job.id])
    assert (await mesh.jobs.cancel(job.id)).state == JobState.CANCELLED
    with pytest.raises(JobCancelled):
        await waiting
    assert isinstance((await mesh.jobs.get(job.id)).error, JobCancelled)


async def test_costs_are_estimated_without_spending_and_usage_adds_up(mesh, running):
    paid = len(running.vendor.ledger)
    estimate = await mesh.estimate("a red kite", **PAINTER, count=3)
    assert (estimate.cost, estimate.units, estimate.unit) == (pytest.approx(0.12), 3, "image")
    assert (estimate.provider_id, estimate.model_id, estimate.source) == ("slow", "painter", "table")
    assert (await mesh.estimate(**PAINTER)).cost == pytest.approx(0.04)
    with pytest.raises(OptionInvalid):
        await mesh.estimate(**PAINTER, count="many")
    with pytest.raises(OptionUnknown):
        await mesh.estimate(**PAINTER, speed=3)
    assert len(running.vendor.ledger) == paid
    report = await mesh.usage(by=[UsageBy.PROVIDER, UsageBy.MODEL])
    (total,) = report.sums
    assert (total.provider_id, total.model_id, total.unit) == ("slow", "painter", "image")
    assert total.cost == pytest.approx(0.04 * total.call_count)
    assert report.budgets == ()


async def test_jobs_without_async(running):
    def work():
        with sync.connect(running.public) as mesh:
            job = mesh.jobs.create("a red kite", **PAINTER)
            result = mesh.jobs.result(job.id)
            events = [item for item in mesh.jobs.watch(job.id) if isinstance(item, e.Event)]
            assert next(iter(mesh.jobs.list())).id == job.id
            assert mesh.estimate(**PAINTER).cost == pytest.approx(0.04)
            return result, events, mesh.usage().sums

    result, events, sums = await asyncio.to_thread(work)
    assert result[0].media_type == "image/png"
    assert isinstance(events[-1], e.Finished)
    assert len(sums) == 1
