"""Usage is counted once, and budgets hold however many calls come at the same time."""

from __future__ import annotations

import asyncio
import json

import pytest

from automarket.errors import BudgetExhausted
from automarket.v1 import job_service_pb2 as pb
from automarket.v1 import usage_service_pb2
from gateway.control.usage.budgets import Budget, read_budgets
from tests.support.jobs_mesh import asking, jobs_mesh

BUDGETS = [{"limit": 0.2, "currency": "USD", "period": "day"}, {"limit": 0.12, "period": "month", "provider": "slow"}]


@pytest.fixture
async def mesh():
    async with jobs_mesh(SLOW_PARALLEL="8", AUTOMARKET_CONTROL_BUDGETS=json.dumps(BUDGETS)) as running:
        yield running


async def _usage(services, *groups):
    return await services.usage.GetUsage(usage_service_pb2.GetUsageRequest(group_by=groups))


async def _until_settled(services):
    """Wait until no call has anything set aside."""
    async with asyncio.timeout(10):
        while any(budget.reserved for budget in (await _usage(services)).budgets):  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.05)


async def test_calls_at_the_same_time_never_spend_more_than_the_budget(mesh):
    running, services = mesh
    requests = [asking(model="sketcher") for _ in range(8)]
    ended = await asyncio.gather(*(services.generate(one) for one in requests), return_exceptions=True)
    refused = [one for one in ended if isinstance(one, BudgetExhausted)]
    assert len(running.vendor.ledger) == 3  # of 0.04 USD each, in 0.12 USD
    assert len(refused) == 5
    assert all(one.retry_after and one.metadata["budget"] == "slow" for one in refused)
    await _until_settled(services)
    answer = await _usage(services, usage_service_pb2.USAGE_GROUP_PROVIDER, usage_service_pb2.USAGE_GROUP_MODEL)
    (total,) = answer.sums
    assert (total.provider_id, total.model_id, total.call_count, total.unit) == ("slow", "sketcher", 3, "image")
    assert total.cost == pytest.approx(0.12)
    assert [budget.spent for budget in answer.budgets] == pytest.approx([0.12, 0.12])
    with pytest.raises(BudgetExhausted):
        await services.create(asking())


async def test_jobs_are_counted_once_whoever_tells_and_a_restart_changes_nothing(mesh):
    running, services = mesh
    job = await services.until_ended((await services.create(asking())).id)
    assert job.estimate.cost == pytest.approx(0.04)
    running.kill("control")
    running.start("control")
    await services.until_ready()
    await _until_settled(services)
    (total,) = (await _usage(services, usage_service_pb2.USAGE_GROUP_DAY)).sums
    assert (total.call_count, total.cost) == (1, pytest.approx(0.04))
    assert len(total.day) == 10


async def test_what_a_job_under_way_may_cost_is_set_aside_over_a_restart(mesh):
    running, services = mesh
    running.vendor.holds.add("running")
    made = [(await services.create(asking())).id for _ in range(3)]
    await running.vendor.until_reached("running", made)
    running.kill("control", "provider")
    running.start("control", "provider")
    await services.until_ready()
    assert (await _usage(services)).budgets[1].reserved == pytest.approx(0.12)
    with pytest.raises(BudgetExhausted):
        await services.create(asking())
    with pytest.raises(BudgetExhausted):
        await services.generate(asking(model="sketcher"))
    running.vendor.release()
    for job_id in made:
        assert (await services.until_ended(job_id)).state == pb.JOB_STATE_DONE
    await _until_settled(services)
    assert (await _usage(services)).budgets[1].spent == pytest.approx(0.12)


def test_budgets_are_read_and_what_is_wrong_with_them_is_said():
    assert read_budgets("") == ()
    assert read_budgets('[{"limit": 5}]') == (Budget(5.0, "USD", "month", ""),)
    for text in ('{"limit": 5}', '[{"limit": -1}]', '[{"limit": 5, "period": "week"}]', '[{"amount": 5}]', "[5]"):
        with pytest.raises(ValueError, match="budget"):
            read_budgets(text)


def test_a_period_ends_at_midnight_in_utc():
    noon = 1_796_040_000.0  # 2026-11-30 12:00
    assert (Budget(1, period="day").began(noon), Budget(1).began(noon)) == ("2026-11-30", "2026-11-01")
    assert Budget(1, period="day").ends(noon) == Budget(1).ends(noon)
    assert Budget(1, period="total").ends(noon) is None
