from __future__ import annotations

import pytest_asyncio

from tests.support.jobs_mesh import jobs_mesh


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running():
    """Give a mesh with jobs and its services, for all tests of a module."""
    async with jobs_mesh(SLOW_PARALLEL="4", AUTOMARKET_CONTROL_WEBHOOK_SECRET="quiet") as mesh:
        yield mesh


@pytest_asyncio.fixture(loop_scope="module")
async def mesh(running):
    """Give the vendor, which holds nothing and can do all, and the services."""
    processes, services = running
    vendor = processes.vendor
    vendor.ledger.clear()
    vendor.reached.clear()
    vendor.refusals.clear()
    vendor.can_look_up = vendor.can_cancel = True
    yield vendor, services
    vendor.release()
