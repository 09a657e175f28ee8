"""SIGKILL of the provider server, of control and of both, at each stage of a job: nothing is paid for twice."""

from __future__ import annotations

import asyncio
import uuid

import pytest
import pytest_asyncio

from automarket.v1 import job_service_pb2 as pb
from tests.support.jobs_mesh import asking, jobs_mesh

STAGES = ("before-checkpoint", "before-submit", "submitted", "queued", "running", "downloading", "stored")
VICTIMS = (("provider",), ("control",), ("provider", "control"))
# The vendor's answer to the submit is lost: it took the order, and nobody knows its number.
GAP = "submitted"

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def mesh():
    async with jobs_mesh(SLOW_PARALLEL="24") as (running, services):
        yield running, services


async def _killed(stages, victims, mesh, services, *, jobs=1, can_look_up=True):
    """Run some jobs for each stage, and kill processes when all are where they are to be; give them as they ended."""
    vendor = mesh.vendor
    vendor.can_look_up = can_look_up
    vendor.reached.clear()
    stage_of = {str(uuid.uuid4()): stage for stage in stages for _ in range(jobs)}
    vendor.holds |= {(stage, job_id) for job_id, stage in stage_of.items()}
    for job_id in stage_of:
        await services.create(asking(request_id=job_id))
    for job_id, stage in stage_of.items():
        await vendor.until_reached(stage, [job_id])
    mesh.kill(*victims)
    mesh.start(*victims)
    vendor.release()
    return [(stage, await services.until_ended(job_id, timeout=60)) for job_id, stage in stage_of.items()]


async def _round(mesh, services, jobs):
    for victims in VICTIMS:
        for stage, job in await _killed(STAGES, victims, mesh, services, jobs=jobs):
            told = (stage, victims, job.error.reason, job.error.message)
            assert job.state == pb.JOB_STATE_DONE, (*told, mesh.logs())
            assert mesh.vendor.paid(job.id) == 1, told
            assert len(job.outputs) == 1, told
            events = await services.events(job.id)
            assert [event.sequence for event in events] == list(range(1, len(events) + 1)), told


async def test_whatever_is_killed_a_job_ends_done_and_is_paid_for_once(mesh):
    await _round(*mesh, jobs=3)


async def test_where_the_vendor_cannot_tell_the_job_says_that_its_outcome_is_unknown(mesh):
    running, services = mesh
    for victims in VICTIMS:
        ((_, job),) = await _killed([GAP], victims, running, services, can_look_up=False)
        # Where the provider lives on, it has got the vendor's answer itself.
        expected = (pb.JOB_STATE_DONE, pb.JOB_STATE_FAILED) if victims == ("control",) else (pb.JOB_STATE_FAILED,)
        assert job.state in expected
        if job.state == pb.JOB_STATE_FAILED:
            assert (job.error.code, job.error.reason) == ("ABORTED", "OUTCOME_UNKNOWN")
        assert running.vendor.paid(job.id) == 1


async def test_a_model_without_checkpoints_that_had_begun_ends_with_its_outcome_unknown(mesh):
    running, services = mesh
    running.vendor.can_look_up = True
    for victims in VICTIMS:
        running.vendor.reached.clear()
        running.vendor.holds.add("running")
        job = await services.create(asking(model="sketcher"))
        await running.vendor.until_reached("running", [job.id])
        running.kill(*victims)
        running.start(*victims)
        job = await services.until_ended(job.id, timeout=60)
        running.vendor.release()
        assert (job.state, job.error.reason) == (pb.JOB_STATE_FAILED, "OUTCOME_UNKNOWN")
        assert running.vendor.paid(job.id) == 1


async def test_jobs_that_wait_survive_too_and_keep_their_order(mesh):
    running, services = mesh
    running.vendor.release()
    running.kill("provider")
    await asyncio.sleep(0.2)
    made = [(await services.create(asking(priority=n % 2))).id for n in range(6)]
    running.kill("control")
    running.start("control")
    running.start("provider")
    for job_id in made:
        assert (await services.until_ended(job_id, timeout=60)).state == pb.JOB_STATE_DONE
    assert [running.vendor.paid(job_id) for job_id in made] == [1] * 6


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_twenty_rounds(mesh):
    for _ in range(20):
        await _round(*mesh, jobs=1)
