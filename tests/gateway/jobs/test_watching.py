from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from automarket.errors import InvalidRequestError, VendorFailing
from automarket.v1 import job_service_pb2 as pb
from tests.support.jobs_mesh import asking

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_two_watchers_see_the_same_and_one_that_comes_back_misses_nothing(mesh):
    vendor, services = mesh
    for _ in range(5):
        vendor.holds.add("queued")
        job = await services.create(asking())
        steady = asyncio.create_task(services.events(job.id))
        seen = []
        async with aclosing(services.watch(job.id)) as messages:
            async for message in messages:
                if message.HasField("event"):
                    seen.append(message.event)
                if len(seen) == 2:
                    break
        vendor.release()
        seen += await services.events(job.id, after=seen[-1].sequence)
        assert seen == await steady == await services.events(job.id)
        assert [event.sequence for event in seen] == list(range(1, len(seen) + 1))


async def test_a_watcher_hears_of_the_line_and_of_every_state(mesh):
    vendor, services = mesh
    vendor.holds.add("running")
    before = [(await services.create(asking())).id for _ in range(4)]
    await vendor.until_reached("running", before)
    more = [(await services.create(asking())).id for _ in range(3)]

    async def followed():
        return [one.job async for one in services.watch(more[-1]) if one.HasField("job")]

    following = asyncio.create_task(followed())
    await asyncio.sleep(0.3)
    vendor.release()
    jobs = await following
    assert jobs[0].queue_position == 2
    states = list(dict.fromkeys(job.state for job in jobs))
    assert states == [pb.JOB_STATE_QUEUED, pb.JOB_STATE_RUNNING, pb.JOB_STATE_DONE]


async def test_the_line_keeps_priority_first_and_then_order(mesh):
    vendor, services = mesh
    vendor.holds.add("before-submit")
    before = [(await services.create(asking())).id for _ in range(4)]
    await vendor.until_reached("before-submit", before)
    made = [(await services.create(asking(priority=priority))).id for priority in (0, 5, 0, -5, 5)]
    places = [(await services.get(job_id)).queue_position for job_id in made]
    assert places == [2, 0, 3, 4, 1]
    vendor.release()
    for job_id in made:
        await services.until_ended(job_id)
    assert vendor.most_working <= 4


async def test_a_job_that_failed_ends_the_watch_with_its_error(mesh):
    vendor, services = mesh
    vendor.refusals[:] = [503] * 100
    job = await services.create(asking(model="sketcher"))
    job = await services.until_ended(job.id)
    assert (job.state, job.error.reason) == (pb.JOB_STATE_FAILED, "VENDOR_FAILING")
    with pytest.raises(VendorFailing) as caught:
        await services.events(job.id)
    assert caught.value.metadata["job"] == job.id
    with pytest.raises(InvalidRequestError):
        await services.events(job.id, after=10_000)


async def test_a_call_that_is_followed_as_a_job_goes_on_without_its_caller(mesh):
    vendor, services = mesh
    request = asking()
    vendor.holds.add("running")
    call = asyncio.create_task(services.generate(request, ("automarket-follow", "job")))
    await vendor.until_reached("running", [request.header.request_id])
    call.cancel()
    await asyncio.wait([call])
    vendor.release()
    job = await services.until_ended(request.header.request_id)
    assert job.state == pb.JOB_STATE_DONE
    assert vendor.paid(job.id) == 1
    again = await services.generate(request, ("automarket-follow", "job"))
    assert again == await services.events(job.id)


async def test_a_followed_call_that_waits_says_its_place_in_the_line(mesh):
    vendor, services = mesh
    vendor.holds.add("running")
    before = [(await services.create(asking())).id for _ in range(4)]
    await vendor.until_reached("running", before)
    await services.create(asking())
    call = asyncio.create_task(services.generate(asking(), ("automarket-follow", "job")))
    await asyncio.sleep(0.3)
    vendor.release()
    first = (await call)[0]
    assert (first.sequence, first.progress.phase, first.progress.queue_position) == (1, "queued", 1)
