"""Casting bytes while they arrive."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import pytest

from automarket.assets.roles import Role
from automarket.errors import (
    InputEmpty,
    InputOutOfOrder,
    InputUnsuitable,
    MediaInvalid,
    MediaLimit,
    MediaRefused,
)
from automarket.media.cast import cast_stream
from automarket.media.head import can_be_piped, take_head
from automarket.media.info import AudioFormat, CastSpec, ImageFormat
from automarket.media.limits import MediaLimits
from automarket.media.probe import probe
from automarket.media.wav import wav_header
from tests.media.conftest import MOVING, SOUND, SPEECH_16K, joined, media_children, pieces_of, until, wav

TIMES = 25
BARE_16K = CastSpec(Role.SPEECH, audio=AudioFormat("s16le", 16000, 1))


@pytest.mark.parametrize("name", [*SOUND, *MOVING])
async def test_every_container_becomes_speech(forms, tmp_path, name):
    source = forms.audio(name) if name in SOUND else forms.video(name)
    made = await joined(cast_stream(pieces_of(source.read_bytes()), SPEECH_16K))
    file = tmp_path / "made.wav"
    file.write_bytes(made)
    info = await probe(file)
    assert info.audio is not None
    assert (info.format, info.audio.sample_rate, info.audio.channels) == ("wav", 16000, 1)
    assert info.duration == pytest.approx(5.97 if name in SOUND else 4, abs=0.2)


async def test_a_video_whose_index_is_last_gives_the_same_sound_as_one_whose_index_is_first(media):
    last = await joined(cast_stream(pieces_of(media.talk_mp4().read_bytes()), BARE_16K))
    first = await joined(cast_stream(pieces_of(media.talk_faststart_mp4().read_bytes()), BARE_16K))
    assert last == first
    assert len(last) > 150_000


async def test_the_place_of_the_index_decides_whether_a_video_is_spooled(media):
    for video, piped in ((media.talk_mp4(), False), (media.talk_faststart_mp4(), True)):
        head, found = await take_head(pieces_of(video.read_bytes()))
        assert can_be_piped(head, found) is piped


async def test_a_format_is_told_from_pieces_of_any_size(media):
    for size in (1, 7, 100, 4096, 10**6):
        for path in (media.speech_wav(), media.talk_mp4(), media.picture_png()):
            head, found = await take_head(pieces_of(path.read_bytes(), size))
            assert found.name == path.suffix[1:]
            assert path.read_bytes().startswith(head)


async def test_words_that_come_in_small_pieces_are_not_taken_for_something_else():
    _, found = await take_head(pieces_of(b"RIFF is a word, too. " * 300, 3))
    assert found.name == "txt"


async def test_sound_comes_out_while_it_still_goes_in(media):
    samples = media.speech_wav().read_bytes()[44:]
    sent = 0

    async def live():
        nonlocal sent
        yield wav_header(16000, 1)
        for start in range(0, len(samples), 8000):
            sent = start
            yield samples[start : start + 8000]
            await asyncio.sleep(0.03)

    got, first_after = 0, None
    async for piece in cast_stream(live(), SPEECH_16K):
        got += len(piece)
        if got > 44 and first_after is None:
            first_after = sent
    assert first_after is not None
    assert first_after < len(samples) / 2
    assert got - 44 == len(samples)


async def test_a_live_source_that_pauses_still_gets_its_sound_out(media):
    samples = media.speech_wav().read_bytes()[44 : 44 + 64_000]
    resume = asyncio.Event()

    async def live():
        yield wav_header(16000, 1) + samples
        await resume.wait()
        yield samples

    async with aclosing(cast_stream(live(), BARE_16K)) as pieces:
        got = 0
        async with asyncio.timeout(5):
            while got < 32_000:
                got += len(await anext(pieces))
        resume.set()
        got += len(await joined(pieces))
    assert got == 128_000


@pytest.mark.parametrize("container", ["flac", "mp3", "ogg", "opus", "aac", "m4a"])
async def test_speech_flows_into_every_container(media, tmp_path, container):
    spec = CastSpec(Role.SPEECH, audio=AudioFormat(container, 16000, 1))
    file = tmp_path / "made"
    file.write_bytes(await joined(cast_stream(pieces_of(media.speech_wav().read_bytes()), spec)))
    info = await probe(file)
    assert info.format == container


async def test_without_a_rate_the_rate_of_the_source_is_kept(media, tmp_path):
    spec = CastSpec(Role.AUDIO, audio=AudioFormat("wav"))
    file = tmp_path / "made.wav"
    file.write_bytes(await joined(cast_stream(pieces_of(media.talk_mp4().read_bytes()), spec)))
    info = await probe(file)
    assert info.audio is not None
    assert (info.audio.sample_rate, info.audio.channels) == (44100, 2)


async def test_a_video_becomes_a_picture(media, tmp_path):
    spec = CastSpec(Role.IMAGE, image=ImageFormat("png", 100), frame_time=1.0)
    file = tmp_path / "made.png"
    file.write_bytes(await joined(cast_stream(pieces_of(media.talk_mp4().read_bytes()), spec)))
    info = await probe(file)
    assert info.video is not None
    assert info.video.width == 100


async def test_words_and_videos_pass_as_they_are(media):
    video = media.talk_mp4().read_bytes()
    assert await joined(cast_stream(pieces_of(video), CastSpec(Role.VIDEO))) == video
    assert await joined(cast_stream(pieces_of(b"words"), CastSpec(Role.TEXT))) == b"words"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", InputEmpty),
        (b"just words", InputUnsuitable),
        (b"\x00\x01\x02" * 50, InputUnsuitable),
        (b"#EXTM3U\n#EXTINF:1,\n/etc/hostname\n", MediaRefused),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", MediaRefused),
        (wav(b""), InputEmpty),
        (b"\x00\x00\x00\x18ftypisom" + bytes(9000), MediaInvalid),
        (b"fLaC" + bytes(9000), MediaInvalid),
    ],
    ids=["empty", "words", "noise", "m3u8", "concat", "no sound", "no index", "broken flac"],
)
async def test_what_cannot_be_cast_is_an_error_and_nothing_comes_out(content, error):
    out = []
    with pytest.raises(error):
        async for piece in cast_stream(pieces_of(content), SPEECH_16K):
            out.append(piece)  # noqa: PERF401 - the error must not lose what came out
    assert out == []


@pytest.mark.parametrize("moved", ["", "-movflags +faststart", "-movflags frag_keyframe+empty_moov"])
async def test_a_video_without_sound_says_what_was_needed(media, moved):
    name = f"silent-{len(moved)}.mp4"
    silent = media.ffmpeg(name, "-i", str(media.silent_mp4()), "-c", "copy", *moved.split())
    with pytest.raises(InputUnsuitable, match="plays image and video; speech was needed"):
        await joined(cast_stream(pieces_of(silent.read_bytes()), SPEECH_16K))


@pytest.mark.parametrize("name", ["wav", "mp3", "flac", "m4a", "aac"])
async def test_sound_that_is_cut_off_is_invalid(forms, name):
    data = forms.audio(name).read_bytes()
    with pytest.raises(MediaInvalid):
        await joined(cast_stream(pieces_of(data[: len(data) * 6 // 10]), SPEECH_16K))


@pytest.mark.parametrize("name", MOVING)
async def test_a_video_that_is_cut_off_is_invalid(forms, name):
    data = forms.video(name).read_bytes()
    with pytest.raises(MediaInvalid):
        await joined(cast_stream(pieces_of(data[: len(data) * 6 // 10]), SPEECH_16K))


async def test_a_fault_of_the_source_is_raised_as_it_is_and_ends_ffmpeg(media):
    async def broken():
        yield media.speech_wav().read_bytes()[:50_000]
        await asyncio.sleep(0.01)
        raise InputOutOfOrder("a chunk is missing")

    for _ in range(TIMES):
        with pytest.raises(InputOutOfOrder):
            await joined(cast_stream(broken(), SPEECH_16K))
        assert media_children() == []


@pytest.mark.alone
async def test_closing_early_ends_ffmpeg_and_closes_the_source(media):
    data = media.speech_wav().read_bytes()
    for _ in range(TIMES):
        closed = asyncio.Event()

        async def endless(closed=closed):
            try:
                yield wav_header(16000, 1)
                while True:
                    yield data[44:]
            finally:
                closed.set()

        source = endless()
        begin = time.monotonic()
        async with aclosing(source), aclosing(cast_stream(source, SPEECH_16K)) as pieces:
            await anext(pieces)
            await anext(pieces)
            begin = time.monotonic()
        assert time.monotonic() - begin < 0.5
        assert closed.is_set()
        assert media_children() == []


@pytest.mark.alone
async def test_cancelling_ends_ffmpeg_within_half_a_second(media):
    data = media.speech_wav().read_bytes()[44:]

    async def endless():
        yield wav_header(16000, 1)
        while True:
            yield data
            await asyncio.sleep(0.005)

    async def consume():
        source = endless()
        async with aclosing(source), aclosing(cast_stream(source, SPEECH_16K)) as pieces:
            async for _ in pieces:
                pass

    for number in range(TIMES):
        task = asyncio.create_task(consume())
        await until(media_children)
        await asyncio.sleep(0.004 * number)
        task.cancel()
        begin = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not media_children(), 0.5)
        assert time.monotonic() - begin < 0.5


async def test_a_slow_reader_slows_the_source(media):
    data = media.speech_wav().read_bytes()[44:]
    taken = 0

    async def endless():
        nonlocal taken
        yield wav_header(16000, 1)
        while True:
            taken += len(data)
            yield data

    source = endless()
    async with aclosing(source), aclosing(cast_stream(source, SPEECH_16K)) as pieces:
        await anext(pieces)
        await anext(pieces)
        await asyncio.sleep(0.5)
        first = taken
        await asyncio.sleep(0.5)
        assert taken == first
        assert taken < 4_000_000


async def test_sound_that_plays_for_too_long_is_refused(media):
    data = media.speech_wav().read_bytes()
    with pytest.raises(MediaLimit, match="over 2 s"):
        await joined(cast_stream(pieces_of(data), SPEECH_16K, limits=MediaLimits(max_seconds=2)))


async def test_bytes_after_the_end_of_the_sound_are_taken_and_left_out(media):
    data = media.speech_wav().read_bytes()
    junk = bytes(3_000_000)
    taken = 0

    async def source():
        nonlocal taken
        async for piece in pieces_of(data + junk, 50_000):
            taken += len(piece)
            yield piece

    made = await joined(cast_stream(source(), BARE_16K))
    assert len(made) == pytest.approx(len(data), rel=0.02)
    assert taken == len(data) + len(junk)
