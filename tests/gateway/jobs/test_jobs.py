from __future__ import annotations

import uuid

import pytest

from automarket.errors import (
    AssetUnknown,
    InvalidRequestError,
    JobNotEnded,
    JobUnknown,
    ModelUnknown,
    OptionInvalid,
    RequestIdReused,
)
from automarket.v1 import job_service_pb2 as pb
from tests.support.jobs_mesh import asking

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_job_ends_done_with_its_outputs_by_digest_and_its_cost(mesh):
    vendor, services = mesh
    job = await services.create(asking())
    assert job.state == pb.JOB_STATE_QUEUED
    job = await services.until_ended(job.id)
    assert job.state == pb.JOB_STATE_DONE
    assert vendor.paid(job.id) == 1
    assert [one.digest[:7] for one in job.outputs] == ["sha256:"]
    assert job.usage[0].cost == pytest.approx(0.04)
    assert (job.provider_id, job.model_id, job.attempts) == ("slow", "painter", 1)


async def test_all_events_are_numbered_without_gaps_and_none_is_a_checkpoint_or_a_chunk(mesh):
    _, services = mesh
    job = await services.create(asking())
    events = await services.events(job.id)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    kinds = [event.WhichOneof("event") for event in events]
    assert not {"checkpoint", "output_chunk"} & set(kinds)
    assert kinds[-1] == "finished"
    assert await services.events(job.id, after=2) == events[2:]


async def test_an_equal_request_gives_the_job_that_is_there_and_another_one_is_refused(mesh):
    vendor, services = mesh
    request_id = str(uuid.uuid4())
    first, again = [await services.create(asking(request_id=request_id)) for _ in range(2)]
    assert first.id == again.id == request_id
    with pytest.raises(RequestIdReused):
        await services.create(asking("a blue kite", request_id=request_id))
    await services.until_ended(request_id)
    assert (await services.create(asking(request_id=request_id))).state == pb.JOB_STATE_DONE
    assert vendor.paid(request_id) == 1


async def test_what_is_wrong_with_a_request_is_said_before_anything_waits(mesh):
    vendor, services = mesh
    wrong = asking()
    wrong.header.model_options["steps"] = 500
    with pytest.raises(OptionInvalid):
        await services.create(wrong)
    with pytest.raises(ModelUnknown):
        await services.create(asking(model="nobody"))
    unknown = asking()
    unknown.header.inputs[0].digest = "sha256:" + "0" * 64
    with pytest.raises(AssetUnknown):
        await services.create(unknown)
    with pytest.raises(InvalidRequestError) as caught:
        await services.create(asking(priority=101))
    assert "priority" in caught.value.fields
    with pytest.raises(InvalidRequestError):
        await services.create(asking(request_id="no uuid"))
    assert not vendor.ledger
    with pytest.raises(JobUnknown):
        await services.get(wrong.header.request_id)


async def test_a_retry_is_a_new_job_that_does_the_same(mesh):
    vendor, services = mesh
    vendor.holds.add("running")
    job = await services.create(asking(labels={"for": "poster"}, priority=3))
    with pytest.raises(JobNotEnded):
        await services.retry(job.id)
    vendor.release()
    await services.until_ended(job.id)
    again = await services.retry(job.id)
    assert (again.retry_of, again.priority, dict(again.labels)) == (job.id, 3, {"for": "poster"})
    assert (await services.until_ended(again.id)).state == pb.JOB_STATE_DONE
    assert [vendor.paid(one.id) for one in (job, again)] == [1, 1]


async def test_jobs_are_listed_newest_first_by_state_provider_and_label_a_page_at_a_time(mesh):
    _, services = mesh
    made = [(await services.create(asking(labels={"n": str(n % 2), "of": "list"}))).id for n in range(5)]
    for job_id in made:
        await services.until_ended(job_id)
    ask = services.jobs.ListJobs
    assert [job.id for job in (await ask(pb.ListJobsRequest())).jobs][:5] == made[::-1]
    odd = await ask(pb.ListJobsRequest(labels={"n": "1", "of": "list"}, states=[pb.JOB_STATE_DONE], provider_id="slow"))
    assert [job.id for job in odd.jobs] == [made[3], made[1]]
    page = await ask(pb.ListJobsRequest(page_size=2, labels={"of": "list"}))
    rest = await ask(pb.ListJobsRequest(page_size=3, labels={"of": "list"}, page_token=page.next_page_token))
    assert [job.id for job in [*page.jobs, *rest.jobs]] == made[::-1]
    assert not rest.next_page_token


async def test_retryable_refusals_before_anything_was_spent_are_tried_again(mesh):
    vendor, services = mesh
    vendor.refusals = [429, 503]
    job = await services.until_ended((await services.create(asking())).id)
    assert job.state == pb.JOB_STATE_DONE
    assert vendor.paid(job.id) == 1
    assert job.attempts == 3
