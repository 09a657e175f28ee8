"""Kills of a provider server, of control and of both, and cancels, at each stage of jobs at every vendor of slow work.

The providers are the ones that ship; the vendors' stand-ins write down what they were paid for.
"""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from automarket.v1 import job_service_pb2 as pb
from tests.support.require import require
from tests.support.vendor_jobs import STAGES, STORE_SECONDS, VENDORS, vendor_jobs

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

VICTIMS = ("provider", "control", "both")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running():
    require("ffmpeg", "flite")
    async with vendor_jobs(*VENDORS) as jobs:
        yield jobs


async def begun_at(running, stage, count):
    """Begin jobs at every vendor; give vendor and id of each when all are at a stage."""
    running.hold_at(stage)
    begun = [(name, await running.begin(name)) for name in VENDORS for _ in range(count)]
    for held in running.held.values():
        await held.until_reached(count)
    if stage == "storing":
        running.pause_store()
        await asyncio.sleep(2 * STORE_SECONDS)
    return begun


async def killed_at(running, stage, victim, count):
    """Kill when jobs at every vendor are at a stage; give them as they ended, by vendor."""
    begun = await begun_at(running, stage, count)
    victims = {"provider": tuple(VENDORS), "control": ("control",), "both": (*VENDORS, "control")}[victim]
    running.mesh.kill(*victims)
    running.release()
    running.go_on_store()
    running.mesh.start(*victims)
    return [(name, await running.services.until_ended(job_id, timeout=60)) for name, job_id in begun]


async def round_of(running, stage, count):
    for victim in VICTIMS:
        before = running.paid()
        for name, job in await killed_at(running, stage, victim, count):
            told = (stage, victim, name, job.error.reason, job.error.message)
            assert running.paid()[name] - before[name] == count, told
            assert job.state == pb.JOB_STATE_DONE, (*told, running.mesh.logs())
            assert [one.stored for one in job.outputs] == [True], told
            assert job.outputs[0].size_bytes > 0, told


@pytest.mark.parametrize("stage", STAGES)
async def test_whatever_is_killed_a_job_at_a_vendor_ends_done_and_is_paid_for_once(running, stage):
    await round_of(running, stage, 3)


@pytest.mark.parametrize("stage", STAGES)
async def test_a_job_at_a_vendor_that_is_cancelled_ends_as_the_vendor_allows(running, stage):
    for _ in range(3):
        before = running.paid()
        begun = await begun_at(running, stage, 1)
        ending = [asyncio.create_task(running.services.cancel(job_id)) for _, job_id in begun]
        await asyncio.sleep(0.3)
        if stage not in ("submitted", "queued", "running"):  # there the work is not done when its cancel comes
            running.release()
            running.go_on_store()
        ended = await asyncio.gather(*ending)
        running.release()
        for (name, _), job in zip(begun, ended, strict=True):
            told = (stage, name, pb.JobState.Name(job.state), job.error.message)
            fake = running.held[name].fake
            assert running.paid()[name] - before[name] == (stage != "uploading"), told
            if stage == "uploading":
                assert job.state == pb.JOB_STATE_CANCELLED, told
            elif stage in ("downloading", "storing"):
                assert job.state == pb.JOB_STATE_DONE, told
                assert job.outputs[0].stored, told
            elif VENDORS[name].cancels:
                assert job.state == pb.JOB_STATE_CANCELLED, told
                assert fake.submits[-1] in fake.cancels, told
            else:
                assert job.state == pb.JOB_STATE_CANCELLED_LOCALLY, told
                assert "charge" in job.error.message, told


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_twenty_rounds(running):
    for _ in range(20):
        for stage in STAGES:
            await round_of(running, stage, 1)
