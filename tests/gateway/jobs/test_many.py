"""A thousand jobs that wait: in order, eight at a time, and next to nothing of a processor."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from automarket.errors import JobQueueFull
from automarket.v1 import job_service_pb2 as pb
from tests.support.jobs_mesh import asking, jobs_mesh
from tests.support.slow_vendor import SlowVendor

MOST_PARALLEL = 8
MEASURED_SECONDS = 5.0
RUN = 100


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_thousand_jobs_keep_order_and_limit_and_cost_next_to_nothing_while_they_wait():
    vendor = SlowVendor(polls_until_done=0)
    async with jobs_mesh(vendor, SLOW_PARALLEL=str(MOST_PARALLEL)) as (running, services):
        vendor.holds.add("running")
        made = [(await services.create(asking())).id for _ in range(1000)]
        await vendor.until_reached("running", made[:MOST_PARALLEL])
        assert (await services.get(made[-1])).queue_position == 1000 - MOST_PARALLEL - 1
        pids = [running.running[name].pid for name in ("control", "relay", "store")]
        before = [_processor_seconds(pid) for pid in pids]
        await asyncio.sleep(MEASURED_SECONDS)
        shares = [(_processor_seconds(pid) - was) / MEASURED_SECONDS for pid, was in zip(pids, before, strict=True)]
        sys.stderr.write(f"shares of one core of control, relay and store: {shares}\n")
        assert shares[0] < 0.05
        assert len(vendor.ledger) == MOST_PARALLEL
        vendor.release()
        await services.until_ended(made[RUN - 1], timeout=200)
        vendor.holds.add("before-checkpoint")
        ended = [await services.cancel(job_id) for job_id in reversed(made)]
        cancelled = [job.id for job in ended if job.state == pb.JOB_STATE_CANCELLED]
        assert cancelled[: 1000 - 2 * RUN] == made[: 2 * RUN - 1 : -1]
        order = [made.index(entry.key) for entry in vendor.ledger]
        assert sorted(order) == list(range(len(order)))
        # Those that are begun at the same time may get there in any order.
        assert all(abs(place - number) < 2 * MOST_PARALLEL for number, place in enumerate(order))
        assert vendor.most_working <= MOST_PARALLEL
        done = await services.jobs.ListJobs(pb.ListJobsRequest(states=[pb.JOB_STATE_DONE], page_size=1000))
        assert RUN <= len(done.jobs) <= len(order)


async def test_one_job_more_than_may_wait_is_refused():
    async with jobs_mesh(AUTOMARKET_CONTROL_JOBS_MAX_QUEUED="2", SLOW_PARALLEL="1") as (running, services):
        running.vendor.holds.add("running")
        first = (await services.create(asking())).id
        await running.vendor.until_reached("running", [first])
        for _ in range(2):
            await services.create(asking())
        with pytest.raises(JobQueueFull) as caught:
            await services.create(asking())
        assert caught.value.retry_after
