"""Pictures out of videos: which, how many, how large."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time

import pytest

from automarket.errors import InputUnsuitable, OptionInvalid
from automarket.media.probe import probe
from provider_servers.ffmpeg import FfmpegProvider
from tests.provider_servers.calls import calling, only_field
from tests.support.mesh import processes_below
from tests.support.require import require


@pytest.fixture
async def call():
    require("ffmpeg")
    async with calling(FfmpegProvider()) as caller:
        yield caller


@pytest.fixture
def ramp(media):
    """Give 5 s of video that turns from black to white: brightness tells the moment. Its sound goes on for 1 s more."""
    picture = "color=black:size=160x90:rate=25:duration=5,format=gray,geq=lum='51*T'"
    tone = ("-f", "lavfi", "-i", "sine=duration=6")
    return media.ffmpeg("ramp.mkv", "-f", "lavfi", "-i", picture, *tone, "-c:v", "ffv1", "-c:a", "flac")


async def moments(answer):
    """Give the moment that each picture shows."""
    found = []
    for number in sorted(answer.outputs):
        command = ["ffmpeg", "-v", "error", "-i", "-", "-pix_fmt", "gray", "-f", "rawvideo", "-"]
        run = asyncio.to_thread(subprocess.run, command, input=answer.outputs[number], check=True, capture_output=True)
        pixels = (await run).stdout
        found.append(sum(pixels) / len(pixels) / 51)
    return found


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.0]),
        ({"times": [4.0, 1.0, 1.0]}, [4.0, 1.0, 1.0]),
        ({"interval": 2.0}, [0.0, 2.0, 4.0]),
        ({"count": 3}, [1.0, 3.0, 4.96]),
        ({"times": [5.9]}, [4.96]),
    ],
)
async def test_each_picture_shows_its_moment(call, ramp, options, expected):
    answer = await call("video-to-image", ramp, **options)
    assert await moments(answer) == pytest.approx(expected, abs=0.12)
    assert [started.name for event in answer.events if (started := event.output_started).name] == ["image"] * len(
        expected
    )


@pytest.mark.parametrize("container", ["png", "jpeg", "webp"])
async def test_thumbnails_keep_the_aspect_ratio_in_every_container(call, media, short_dir, container):
    form = {"container": container, "max_width": 100, "max_height": 100}
    answer = await call("video-to-image", media.talk_mp4(), count=2, format=form)
    assert len(answer.outputs) == 2
    for number in range(2):
        info = await probe(answer.save(number, short_dir / f"{number}"))
        assert info.format == container
        assert (info.video.width, info.video.height) == (100, 56)


async def test_a_picture_is_never_made_larger(call, media, short_dir):
    answer = await call("video-to-image", media.talk_mp4(), format={"max_width": 5000})
    info = await probe(answer.save(0, short_dir / "picture"))
    assert (info.video.width, info.video.height) == (320, 180)
    described = answer.finished[0].media_info.video
    assert (described.width, described.height) == (320, 180)


async def test_many_pictures_come_one_after_the_other_with_progress(call, media):
    answer = await call("video-to-image", media.talk_mp4(), count=20, format={"container": "jpeg", "max_width": 64})
    assert len(answer.finished) == 20
    kinds = answer.kinds()
    assert kinds.index("output_finished") < len(kinds) - 1 - kinds[::-1].index("output_started")
    assert [event.progress.message for event in answer.events if event.progress.message][-1] == "picture 20 of 20"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"times": [1.0, 60.0]}, "times[1]"),
        ({"count": 0}, "count"),
        ({"count": 1001}, "count"),
        ({"count": 2, "interval": 1.0}, "count"),
        ({"interval": 0.001}, "interval"),
        ({"format": {"container": "bmp"}}, "format.container"),
    ],
)
async def test_an_option_that_cannot_be_met_is_named(call, ramp, options, field):
    with pytest.raises(OptionInvalid) as caught:
        await call("video-to-image", ramp, **options)
    assert only_field(caught.value) == f"header.video_to_image.{field}"


async def test_sound_has_no_pictures(call, media):
    with pytest.raises(InputUnsuitable):
        await call("video-to-image", media.tone_wav())


async def test_a_cancel_ends_ffmpeg_25_times(call, media):
    source = ("-f", "lavfi", "-i", "testsrc=size=1280x720:rate=25:duration=20")
    long = media.ffmpeg("long.mp4", *source, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
    for _ in range(25):
        events = call.stream("video-composition", long, long, overlays=[{"width": 640}])
        async for event in events:
            if event.HasField("progress"):
                break
        begin = time.monotonic()
        await events.aclose()
        while any("composition.mp4" in command for command in processes_below(os.getpid()).values()):
            assert time.monotonic() - begin < 0.5
            await asyncio.sleep(0.01)
