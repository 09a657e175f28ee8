"""From a sentence to a film with a voice and a picture over it, by the command line alone, through four providers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import closing

import pytest

from automarket.media.probe import probe
from tests.support.mesh import mesh_running
from tests.support.require import require
from tests.vendors.made import made_file
from tests.vendors.running import Running, environment
from tests.vendors.said import KEY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

VENDORS = ("fal", "replicate", "elevenlabs")


async def made(running, *arguments, out):
    """Run a command that makes a file; give what it says of it as JSON."""
    done = await asyncio.to_thread(running.cli, *arguments, "-o", str(out), "--json", timeout=120)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    assert KEY not in done.stdout + done.stderr
    return json.loads(done.stdout)


async def lineage_of(running, digest):
    """Give the steps that led to an asset, by what each was made for."""
    done = await asyncio.to_thread(running.cli, "assets", "lineage", digest, "--json")
    assert done.returncode == 0, done.stderr
    steps = [one["lineage"] for one in json.loads(done.stdout)["steps"] if one["lineage"]]
    shown = (await asyncio.to_thread(running.cli, "assets", "lineage", digest)).stdout
    assert all(one["operation"] in shown for one in steps), shown
    return {one["operation"]: one for one in steps if one["operation"] != "cast"}


async def test_a_sentence_becomes_a_film_whose_lineage_tells_every_step(short_dir):
    require("ffmpeg", "flite")
    with contextlib.ExitStack() as ends:
        vendors = {name: ends.enter_context(closing(Running(name))) for name in VENDORS}
        vendors["replicate"].fake.film = made_file("mp4", 1)  # not the very video that fal makes, too
        variables = {k: v for name, one in vendors.items() for k, v in environment(name, one.url).items()}
        async with mesh_running(short_dir, *VENDORS, "ffmpeg", environment=variables) as running:
            kite, rise, voice, spoken, final = (
                short_dir / name for name in ("kite.png", "rise.mp4", "voice.mp3", "spoken.mp4", "final.mp4")
            )
            sentence = ("image", "a red kite over the sea", "-p", "fal", "-m", "fal-ai/flux/dev", "--seed", "7")
            picture = await made(running, *sentence, "--aspect-ratio", "16:9", out=kite)
            moving = ("video", str(kite), "--prompt", "it rises", "-p", "fal", "-m", "fal-ai/framepack")
            await made(running, *moving, "--option", "guidance_scale=9.5", out=rise)
            await made(running, "speak", "The kite rises over the sea.", "-p", "elevenlabs", out=voice)
            lips = ("video", str(rise), "--speech", str(voice), "-p", "replicate", "-m", "bytedance/latentsync")
            await made(running, *lips, "--seed", "3", out=spoken)
            laid = f"{kite},position=top-right,width=80,start=0.2,duration=0.5"
            film = await made(running, "video", str(spoken), "--overlay", laid, out=final)

            facts = await probe(final)
            before = await probe(spoken)
            assert facts.video is not None
            assert facts.audio is not None
            assert (facts.video.width, facts.video.height) == (before.video.width, before.video.height)
            assert facts.duration == pytest.approx(before.duration, abs=0.15)
            assert facts.video.frame_rate == before.video.frame_rate

            steps = await lineage_of(running, digest_of(film))
            told = {name: (one["provider"], one["model"]) for name, one in steps.items()}
            assert told == {
                "video-composition": ("ffmpeg", "compose"),
                "lip-sync": ("replicate", "bytedance/latentsync"),
                "image-to-video": ("fal", "fal-ai/framepack"),
                "text-to-image": ("fal", "fal-ai/flux/dev"),
                "text-to-speech": ("elevenlabs", steps["text-to-speech"]["model"]),
            }
            assert steps["text-to-image"]["options"]["seed"] == 7
            assert steps["text-to-image"]["options"]["aspect_ratio"] == "16:9"
            assert steps["image-to-video"]["options"]["prompt"] == "it rises"
            assert steps["image-to-video"]["options"]["guidance_scale"] == 9.5
            assert steps["lip-sync"]["options"]["seed"] == 3
            assert steps["video-composition"]["options"]["overlays"][0]["position"] == "top-right"
            for paid in ("text-to-image", "image-to-video"):
                assert steps[paid]["cost"] > 0
                assert steps[paid]["currency"] == "USD"
            assert digest_of(picture) in steps["image-to-video"]["parents"]
            assert [len(vendors[name].fake.submits) for name in ("fal", "replicate")] == [2, 1]

            used = json.loads((await asyncio.to_thread(running.cli, "usage", "--json")).stdout)
            assert {"fal", "replicate", "elevenlabs"} <= {one["provider_id"] for one in used["sums"]}, used


def digest_of(told):
    return told["outputs"][0]["digest"]
