"""Compositions, judged by the pixels and times of what came out."""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from automarket.errors import InputUnsuitable, MediaInvalid, OptionInvalid
from automarket.media.probe import probe
from provider_servers.ffmpeg import FfmpegProvider
from tests.provider_servers.calls import calling, only_field
from tests.support.require import require

BLACK = ("-f", "lavfi", "-i", "color=black:size=320x180:rate=25:duration=4")
TONE = ("-f", "lavfi", "-i", "sine=frequency=440:duration=4")
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")


@pytest.fixture
async def call():
    require("ffmpeg")
    async with calling(FfmpegProvider()) as caller:
        yield caller


@pytest.fixture
def base(media):
    return media.ffmpeg("black.mp4", *BLACK, *TONE, *H264, "-c:a", "aac", "-shortest")


@pytest.fixture
def white(media):
    return media.ffmpeg("white.png", "-f", "lavfi", "-i", "color=white:size=64x32", "-frames:v", "1")


@pytest.fixture
def clip(media):
    return media.ffmpeg("white.mp4", "-f", "lavfi", "-i", "color=white:size=64x32:rate=25:duration=1", *H264)


async def grey(video, moment, size=(320, 180)):
    """Give the brightness of every pixel, row by row, at a moment."""
    command = ["ffmpeg", "-v", "error", "-ss", str(moment), "-i", str(video), "-frames:v", "1"]
    command += ["-pix_fmt", "gray", "-f", "rawvideo", "-"]
    done = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    width, height = size
    assert len(done.stdout) == width * height
    return [done.stdout[row * width : (row + 1) * width] for row in range(height)]


async def lit(video, moment, size=(320, 180)):
    """Give x, y, width and height of what is brighter than a quarter at a moment; None when all is dark."""
    rows = await grey(video, moment, size)
    ys = [y for y, row in enumerate(rows) if max(row) > 64]
    xs = [x for x in range(size[0]) if max(row[x] for row in rows) > 64]
    return (xs[0], ys[0], xs[-1] - xs[0] + 1, ys[-1] - ys[0] + 1) if xs else None


def seconds(duration):
    return duration.ToTimedelta().total_seconds()


async def compose(call, short_dir, *inputs, overlays=None):
    answer = await call("video-composition", *inputs, overlays=overlays)
    (finished,) = answer.finished
    return answer.save(0, short_dir / "made.mp4"), finished.video_composition


async def test_a_picture_lies_where_when_and_as_large_as_it_was_told(call, base, white, short_dir):
    wish = {"x": 11, "y": 7, "width": 100, "start": 1.0, "duration": 2.0}
    made, facts = await compose(call, short_dir, base, white, overlays=[wish])
    assert await lit(made, 0.9) is None
    for moment in (1.0, 2.0, 2.96):
        x, y, width, height = await lit(made, moment)
        assert max(abs(x - 11), abs(y - 7), abs(width - 100), abs(height - 50)) <= 1, moment
    assert await lit(made, 3.0) is None
    (laid,) = facts.overlay_info.overlays
    assert (laid.x, laid.y, laid.final_size.width, laid.final_size.height) == (11, 7, 100, 50)
    assert (seconds(laid.start_time), seconds(laid.duration)) == (1.0, 2.0)


async def test_all_facts_are_those_of_the_output(call, base, white, clip, short_dir):
    made, facts = await compose(call, short_dir, base, white, clip)
    info = await probe(made)
    assert (facts.resolution.width, facts.resolution.height) == (info.video.width, info.video.height) == (320, 180)
    assert seconds(facts.duration) == pytest.approx(info.duration, abs=1e-3) == pytest.approx(4, abs=0.1)
    assert facts.frame_rate == pytest.approx(info.video.frame_rate) == 25
    assert facts.aspect_ratio == "16:9"
    assert seconds(facts.base_video_info.duration) == pytest.approx(4, abs=0.1)
    assert (facts.base_video_info.resolution.width, facts.base_video_info.resolution.height) == (320, 180)
    assert facts.overlay_info.count == len(facts.overlay_info.overlays) == 2
    assert [one.index for one in facts.overlay_info.overlays] == [0, 1]
    assert seconds(facts.overlay_info.overlays[1].duration) == pytest.approx(1, abs=0.05)
    assert info.audio.codec == "aac"


async def test_a_clip_ends_by_itself_and_a_later_overlay_lies_on_top(call, base, white, clip, short_dir):
    wishes = [{"start": 1.0, "position": "bottom-right"}, {"width": 16, "height": 16, "x": 4, "start": 3.0}]
    made, facts = await compose(call, short_dir, base, clip, white, overlays=wishes)
    assert await lit(made, 0.9) is None
    x, y, *_ = await lit(made, 1.5)
    assert abs(x - 256) <= 1
    assert abs(y - 148) <= 1
    assert await lit(made, 2.1) is None
    assert await lit(made, 3.5) == (4, 0, 16, 16)
    assert [seconds(one.start_time) for one in facts.overlay_info.overlays] == [1.0, 3.0]


async def test_opacity_lets_the_base_shine_through(call, base, white, short_dir):
    made, _ = await compose(call, short_dir, base, white, overlays=[{"opacity": 0.5}])
    assert 100 < (await grey(made, 1))[16][32] < 155
    made, _ = await compose(call, short_dir, base, white, overlays=[{"opacity": 0}])
    assert await lit(made, 1) is None


async def test_transparent_pixels_of_a_picture_stay_transparent(call, base, media, short_dir):
    ring = media.ffmpeg(
        "ring.png", "-f", "lavfi", "-i", "color=white:size=60x60,format=rgba,geq=r=255:g=255:b=255:a='255*gt(X,29)'",
        "-frames:v", "1",
    )  # fmt: skip
    made, _ = await compose(call, short_dir, base, ring)
    x, _, width, _ = await lit(made, 1)
    assert abs(x - 30) <= 1
    assert abs(width - 30) <= 1


async def test_the_same_picture_can_be_laid_twice(call, base, white, short_dir):
    wishes = [{"position": "top-left"}, {"position": "bottom-right"}]
    made, facts = await compose(call, short_dir, base, white, white, overlays=wishes)
    assert await lit(made, 2) == (0, 0, 320, 180)
    assert facts.overlay_info.count == 2


async def test_the_sound_of_the_base_is_kept_and_a_silent_base_stays_silent(call, base, white, media, short_dir):
    made, _ = await compose(call, short_dir, base, white)
    assert (await probe(made)).audio is not None
    silent = media.ffmpeg("black-silent.mp4", *BLACK, *H264)
    made, _ = await compose(call, short_dir, silent, white)
    assert (await probe(made)).audio is None


async def test_sound_that_mp4_cannot_take_as_it_is_becomes_aac(call, white, media, short_dir):
    base = media.ffmpeg("black.webm", *BLACK, *TONE, "-c:v", "libvpx", "-c:a", "libvorbis", "-shortest")
    made, _ = await compose(call, short_dir, base, white)
    assert (await probe(made)).audio.codec == "aac"


def lying(media):
    """Give a film that is stored lying on its side, as telephones do. How to make one differs between versions."""
    plain = str(media.ffmpeg("black-plain.mp4", *BLACK, *H264))
    shown = subprocess.run(["ffmpeg", "-h", "full"], check=True, capture_output=True).stdout
    if b"-display_rotation" in shown:
        return media.ffmpeg("black-lying.mp4", "-display_rotation", "90", "-i", plain, "-c", "copy")
    return media.ffmpeg("black-lying.mp4", "-i", plain, "-c", "copy", "-metadata:s:v:0", "rotate=90")


async def test_a_film_on_its_side_is_measured_upright(call, white, media, short_dir):
    base = await asyncio.to_thread(lying, media)
    made, facts = await compose(call, short_dir, base, white, overlays=[{"position": "bottom-right"}])
    assert (facts.resolution.width, facts.resolution.height, facts.aspect_ratio) == (180, 320, "9:16")
    assert (await lit(made, 1, (180, 320)))[:2] == (116, 288)


async def test_pixels_that_are_not_square_become_square(call, white, media, short_dir):
    base = media.ffmpeg("black-wide.mp4", *BLACK, "-vf", "setsar=2", *H264)
    made, facts = await compose(call, short_dir, base, white, overlays=[{"position": "top-right"}])
    assert (facts.resolution.width, facts.resolution.height, facts.aspect_ratio) == (640, 180, "32:9")
    x, *_ = await lit(made, 1, (640, 180))
    assert abs(x - 576) <= 1


async def test_odd_lengths_become_even(call, white, media, short_dir):
    source = "color=black:size=321x181:rate=25:duration=1"
    base = media.ffmpeg("black-odd.webm", "-f", "lavfi", "-i", source, "-c:v", "libvpx", "-pix_fmt", "yuv420p")
    _, facts = await compose(call, short_dir, base, white)
    assert (facts.resolution.width, facts.resolution.height) == (320, 180)


async def test_progress_tells_how_far_it_is(call, media):
    long = media.ffmpeg("black-long.mp4", "-f", "lavfi", "-i", "testsrc=size=640x360:rate=25:duration=30", *H264)
    answer = await call("video-composition", long, long, overlays=[{"width": 320}])
    fractions = [event.progress.fraction for event in answer.events if event.progress.HasField("fraction")]
    assert fractions == sorted(set(fractions))
    assert len(fractions) >= 2
    assert 0 <= fractions[0] < fractions[-1] <= 1


@pytest.mark.parametrize(
    ("wishes", "field"),
    [
        ([{"start": 9.0}], "overlays[0].start"),
        ([{"x": 4000}], "overlays[0].x"),
        ([{"x": 1, "position": "top"}], "overlays[0].position"),
        ([{}, {}], "overlays[1]"),
        ([{"opacity": 1.5}], "overlays.0.opacity"),
        ([{"position": "nowhere"}], "overlays.0.position"),
        ([{"width": 0}], "overlays.0.width"),
    ],
)
async def test_a_wish_that_cannot_be_met_is_named(call, base, white, wishes, field):
    with pytest.raises(OptionInvalid) as caught:
        await call("video-composition", base, white, overlays=wishes)
    assert only_field(caught.value) == f"header.video_composition.{field}"


async def test_a_base_that_is_a_picture_or_sound_is_refused(call, white, media):
    for wrong in (white, media.tone_wav()):
        with pytest.raises(InputUnsuitable):
            await call("video-composition", wrong, white)


async def test_an_overlay_that_is_sound_is_refused(call, base, media):
    with pytest.raises(InputUnsuitable):
        await call("video-composition", base, media.tone_wav())


async def test_a_base_that_is_cut_off_is_refused(call, white, media, short_dir):
    whole = media.ffmpeg("black-first.mp4", *BLACK, *TONE, *H264, "-c:a", "aac", "-shortest", "-movflags", "+faststart")
    cut = short_dir / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    with pytest.raises(MediaInvalid):
        await call("video-composition", cut, white)
