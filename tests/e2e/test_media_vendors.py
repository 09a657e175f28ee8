"""Replicate and Creatify as a user has them: keys in the environment, `automarket up`, calls and jobs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

import automarket
from automarket.errors import ContentRefused, JobCancelled, JobCancelledLocally, ModelUnknown
from automarket.media.probe import probe
from tests.support.gateway import until
from tests.support.mesh import mesh_running
from tests.support.require import require
from tests.vendors.creatify import Creatify
from tests.vendors.made import made
from tests.vendors.replicate import Replicate
from tests.vendors.running import Running, environment
from tests.vendors.said import KEY, TEXT

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]
ROUNDS = pytest.mark.parametrize("round_", range(3))
PNG = {"format": {"container": "png"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared():
    """Run one mesh with both vendors' stand-ins; give it and them."""
    require("ffmpeg", "flite")
    folder = Path(tempfile.mkdtemp(prefix="am-", dir="/tmp"))
    try:
        with contextlib.ExitStack() as ends:
            vendors = {"replicate": Replicate(), "creatify": Creatify()}
            running = {name: ends.enter_context(closing(Running(name, one))) for name, one in vendors.items()}
            variables = {k: v for name, one in running.items() for k, v in environment(name, one.url).items()}
            async with mesh_running(folder, *vendors, environment=variables) as mesh:
                yield mesh, vendors["replicate"], vendors["creatify"]
        told = "\n".join(path.read_bytes().decode(errors="replace") for path in folder.rglob("*") if path.is_file())
        assert KEY not in told
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture(loop_scope="module")
async def mesh(shared):
    async with automarket.connect(shared[0].address) as mesh:
        yield mesh


@pytest.fixture
def replicate(shared):
    fake = shared[1]
    fake.stays, fake.answers_late = "", 0.0
    fake.submits.clear()
    fake.cancels.clear()
    return fake


@pytest.fixture
def creatify(shared):
    fake = shared[2]
    fake.stays, fake.answers_late = "", 0.0
    fake.submits.clear()
    return fake


async def cli(running, *arguments):
    done = await asyncio.to_thread(running.cli, *arguments)
    assert done.returncode == 0, done.stderr
    assert KEY not in done.stdout + done.stderr
    return done.stdout


async def test_a_model_that_nobody_listed_is_found_by_name_through_the_gateway(shared, mesh, replicate):
    with pytest.raises(ModelUnknown):
        await mesh.transform("a red kite", model="acme/ok")
    [kite] = await (await mesh.provider("replicate").text_to_image("acme/ok")).transform("a red kite", seed=7, **PNG)
    assert kite.read_bytes() == made("png")
    assert (kite.metadata.seed, kite.metadata.model) == (7, "acme/ok")
    listed = json.loads(await cli(shared[0], "models", "--provider", "replicate", "--json"))
    assert "acme/ok" in str(listed)
    [again] = await mesh.transform("a red kite", model="acme/ok", **PNG)  # now everybody knows it
    assert len(replicate.submits) == 2
    assert not replicate.leaks
    assert again
    with pytest.raises(ModelUnknown):
        await mesh.transform("a red kite", model="acme/none", provider="replicate")


async def test_a_picture_is_made_by_the_command_line(shared, replicate, tmp_path):
    file = tmp_path / "kite.png"
    options = ("--model", "acme/ok", "--provider", "replicate", "-o", str(file))
    await cli(shared[0], "image", "a red kite", *options)
    found = (await probe(file)).video
    assert (found.width, found.height) == (320, 180)
    assert len(replicate.submits) == 1


async def test_a_language_model_tells_as_it_does(shared, replicate):
    assert TEXT in await cli(shared[0], "chat", "--model", "meta/meta-llama-3-8b-instruct", "Tell me.")
    assert len(replicate.submits) == 1


async def test_a_person_speaks_and_voices_are_listed(mesh, creatify):
    provider = mesh.provider("creatify")
    avatar = await provider.avatar_generation("lipsync")
    video = await avatar.transform("The kite rises.", avatar="Anna", voice="Jonas", aspect_ratio="1:1")
    assert video.read_bytes() == made("mp4")
    portrait = await provider.avatar_generation("aurora-v1")
    spoken = await (await provider.text_to_speech("text-to-speech")).transform("The kite rises.", voice="Jonas")
    talking = await portrait.transform(image=made("png"), speech=spoken)
    assert talking.metadata.duration == pytest.approx(1, abs=0.2)
    assert len(creatify.submits) == 3
    assert not creatify.leaks


async def test_a_failure_of_the_vendor_reaches_the_caller_as_its_class(mesh, replicate):
    with pytest.raises(ContentRefused, match="NSFW"):
        await mesh.transform("a red kite", model="acme/nsfw", provider="replicate")


@ROUNDS
async def test_a_job_that_is_cancelled_is_cancelled_at_the_vendor_that_can(mesh, replicate, round_):
    job = await mesh.jobs.create("a red kite", model="acme/slow", provider="replicate")
    await until(lambda: replicate.submits, what="the submit")
    ended_job = await mesh.jobs.cancel(job.id)
    assert isinstance(ended_job.error, JobCancelled), ended_job
    assert replicate.cancels == replicate.submits


@ROUNDS
async def test_a_job_that_is_cancelled_where_the_vendor_cannot_says_that_the_charge_stands(mesh, creatify, round_):
    job = await mesh.jobs.create("[slow] Hello", model="lipsync", provider="creatify", avatar="Anna")
    await until(lambda: creatify.submits, what="the submit")
    ended_job = await mesh.jobs.cancel(job.id)
    assert isinstance(ended_job.error, JobCancelledLocally), ended_job
    assert len(creatify.submits) == 1
