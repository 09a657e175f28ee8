"""Jobs, usage and estimates on the command line, of the slow vendor and of a mesh that `automarket up` runs."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
import pytest_asyncio

from automarket.cli.exits import Exit
from tests.cli.conftest import Cli
from tests.support.jobs_mesh import jobs_mesh
from tests.support.slow_vendor import PICTURE

PAINTER = ("--model", "painter", "--provider", "slow")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running():
    async with jobs_mesh() as (processes, _):
        yield processes


@pytest.fixture
def line(running, tmp_path):
    """Give what runs a command beside the vendor, which lives in this process."""
    command = Cli(running.public, tmp_path)

    def run(*arguments, how="__call__", **more):
        return asyncio.to_thread(partial(getattr(command, how), *arguments, **more))

    return run


async def test_a_job_is_created_followed_and_its_picture_written(line, tmp_path):
    done = await line("jobs", "create", "a red kite", *PAINTER, "-o", "kite.png", "--label", "for=poster")
    assert (tmp_path / "kite.png").read_bytes() == PICTURE
    assert "0.04 USD" in done.stdout
    (job,) = await line("jobs", "ls", "--label", "for=poster", how="json")
    assert (job["state"], job["provider_id"], job["model_id"]) == ("done", "slow", "painter")
    assert job["id"] in (await line("jobs", "ls", "--state", "done")).stdout


async def test_a_beginning_of_the_id_is_enough_to_show_watch_and_repeat_a_job(line, tmp_path):
    job_id = (await line("jobs", "create", "a red kite", *PAINTER)).stdout.strip()
    await line("jobs", "watch", job_id[:8], "-q", "-o", "again.png")
    assert (tmp_path / "again.png").read_bytes() == PICTURE
    shown = await line("jobs", "show", job_id[:8], how="json")
    assert (shown["id"], shown["state"]) == (job_id, "done")
    again = await line("jobs", "retry", job_id[:8], how="json")
    assert again["retry_of"] == job_id
    await line("jobs", "watch", again["id"])
    assert job_id in (await line("jobs", "show", again["id"])).stdout


async def test_a_cancelled_job_ends_the_watch_with_a_failure_and_one_that_is_not_there_is_not_found(line, running):
    running.vendor.holds.add("running")
    job_id = (await line("jobs", "create", "a red kite", *PAINTER)).stdout.strip()
    await running.vendor.until_reached("running", [job_id])
    assert (await line("jobs", "cancel", job_id, how="json"))["state"] == "cancelled"
    running.vendor.release()
    error = await line("jobs", "watch", job_id, how="error", code=Exit.FAILED)
    assert error["reason"] == "JOB_CANCELLED"
    for word in ("00000000", "00000000-0000-0000-0000-000000000000"):
        assert (await line("jobs", "show", word, how="error", code=Exit.NOT_FOUND))["reason"] == "JOB_UNKNOWN"
    await line("jobs", "ls", "--state", "sleeping", code=Exit.USAGE)


async def test_estimates_cost_nothing_and_usage_says_what_was_spent(line, running):
    paid = len(running.vendor.ledger)
    said = await line("transform", "a red kite", *PAINTER, "--option", "count=2", "--estimate")
    assert said.stdout.strip() == "0.08 USD (2 x image)"
    estimate = await line("jobs", "create", "a red kite", *PAINTER, "--estimate", how="json")
    assert estimate["cost"] == pytest.approx(0.04)
    assert len(running.vendor.ledger) == paid
    report = await line("usage", "--by", "provider", "--by", "day", how="json")
    assert [one["provider_id"] for one in report["sums"]] == ["slow"]
    assert "painter" in (await line("usage")).stdout


def _up_speaks(cli, tmp_path):
    cli("jobs", "create", "hello there", "-p", "flite", "-o", "hello.wav")
    assert (tmp_path / "hello.wav").read_bytes()[:4] == b"RIFF"
    assert cli.json("jobs", "ls")[0]["provider_id"] == "flite"


async def test_a_mesh_that_up_runs_has_jobs(cli, tmp_path):
    await asyncio.to_thread(_up_speaks, cli, tmp_path)
