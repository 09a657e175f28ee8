from __future__ import annotations

import asyncio

import pytest

from automarket.errors import JobCancelled, JobCancelledLocally
from automarket.v1 import job_service_pb2 as pb
from tests.support.jobs_mesh import asking

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _at(stage, vendor, services, **fields):
    vendor.holds.add(stage)
    job = await services.create(asking(**fields))
    await vendor.until_reached(stage, [job.id])
    return job.id


async def test_a_job_that_waits_is_cancelled_at_once_and_nobody_is_asked(mesh):
    vendor, services = mesh
    vendor.holds.add("before-checkpoint")
    first = [(await services.create(asking())).id for _ in range(4)]
    await vendor.until_reached("before-checkpoint", first)
    _, waiting = [(await services.create(asking())).id for _ in range(2)]
    assert (await services.get(waiting)).queue_position == 1
    assert (await services.cancel(waiting)).state == pb.JOB_STATE_CANCELLED
    vendor.release()
    for job_id in first:
        await services.until_ended(job_id)
    assert vendor.paid(waiting) == 0


@pytest.mark.parametrize("stage", ["before-checkpoint", "before-submit"])
async def test_before_anything_is_spent_a_job_is_cancelled_without_the_vendor(mesh, stage):
    vendor, services = mesh
    job_id = await _at(stage, vendor, services)
    assert (await services.cancel(job_id)).state == pb.JOB_STATE_CANCELLED
    vendor.release()
    assert vendor.paid(job_id) == 0


@pytest.mark.parametrize("stage", ["submitted", "queued", "running"])
async def test_what_the_vendor_works_on_is_cancelled_there(mesh, stage):
    vendor, services = mesh
    job_id = await _at(stage, vendor, services)
    job = await services.cancel(job_id)
    assert (job.state, job.error.reason) == (pb.JOB_STATE_CANCELLED, "JOB_CANCELLED")
    assert vendor.order(job_id).cancelled
    with pytest.raises(JobCancelled):
        await services.events(job_id)
    assert (await services.cancel(job_id)).state == pb.JOB_STATE_CANCELLED


async def test_where_the_vendor_has_no_cancel_the_job_says_that_the_charge_stands(mesh):
    vendor, services = mesh
    vendor.can_cancel = False
    job_id = await _at("running", vendor, services)
    assert (await services.cancel(job_id)).state == pb.JOB_STATE_CANCELLED_LOCALLY
    with pytest.raises(JobCancelledLocally):
        await services.events(job_id)


@pytest.mark.parametrize("stage", ["downloading", "stored"])
async def test_a_job_whose_work_is_done_ends_done_however_late_it_is_cancelled(mesh, stage):
    vendor, services = mesh
    job_id = await _at(stage, vendor, services)
    vendor.holds.clear()
    job = await services.cancel(job_id)
    assert job.state == pb.JOB_STATE_DONE
    assert len(job.outputs) == 1
    assert vendor.paid(job_id) == 1
    assert (await services.cancel(job_id)).state == pb.JOB_STATE_DONE


async def test_a_model_without_checkpoints_that_had_begun_is_cancelled_here_alone(mesh):
    vendor, services = mesh
    job_id = await _at("running", vendor, services, model="sketcher")
    assert (await services.cancel(job_id)).state == pb.JOB_STATE_CANCELLED_LOCALLY


async def test_a_job_is_cancelled_right_at_whatever_moment(mesh):
    vendor, services = mesh
    for number in range(25):
        job = await services.create(asking())
        await asyncio.sleep(number * 0.01)
        ended = await services.cancel(job.id)
        if ended.state == pb.JOB_STATE_DONE:
            assert not vendor.order(job.id).cancelled
        else:
            assert ended.state == pb.JOB_STATE_CANCELLED
            assert vendor.paid(job.id) == 0 or vendor.order(job.id).cancelled
