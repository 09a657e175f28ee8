"""Casting files."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest

from automarket.assets.formats import by_name
from automarket.assets.roles import Role
from automarket.errors import (
    CastInvalid,
    InputEmpty,
    InputUnsuitable,
    MediaInvalid,
    MediaLimit,
    MediaRefused,
)
from automarket.media.cast import cast_file, needs_cast
from automarket.media.encodings import AUDIO
from automarket.media.graph import arguments_of, open_media, write_media
from automarket.media.info import AudioFormat, AudioInfo, CastSpec, ImageFormat, MediaInfo, VideoInfo
from automarket.media.limits import MediaLimits
from automarket.media.probe import probe
from automarket.media.process import run_ffmpeg, stream_ffmpeg
from tests.media.conftest import MOVING, SOUND, SPEECH_16K, cut, joined, pieces_of, png, wav

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", MOVING)
async def test_every_video_becomes_speech(forms, tmp_path, name):
    info = await probe(await cast_file(forms.video(name), SPEECH_16K, tmp_path))
    assert (info.format, info.audio, info.video) == ("wav", AudioInfo("pcm_s16le", 16000, 1), None)
    assert info.duration == pytest.approx(4, abs=0.2)


@pytest.mark.parametrize("name", SOUND)
async def test_every_sound_becomes_speech(forms, tmp_path, name):
    info = await probe(await cast_file(forms.audio(name), SPEECH_16K, tmp_path))
    assert info.audio == AudioInfo("pcm_s16le", 16000, 1)
    assert info.duration == pytest.approx(5.97, abs=0.15)


@pytest.mark.parametrize("container", [name for name in AUDIO if name != "s16le"])
async def test_sound_becomes_every_container(media, tmp_path, container):
    spec = CastSpec(Role.AUDIO, audio=AudioFormat(container, 48000, 2))
    info = await probe(await cast_file(media.talk_mp4(), spec, tmp_path))
    assert info.format == container
    assert info.audio == AudioInfo(AUDIO[container].codec, 48000, 2)
    assert info.duration == pytest.approx(5.99, abs=0.4)


async def test_bare_samples_have_no_header(media, tmp_path):
    made = await cast_file(media.speech_wav(), CastSpec(Role.SPEECH, audio=AudioFormat("s16le", 8000, 2)), tmp_path)
    assert made.stat().st_size == pytest.approx(5.975 * 32000, rel=0.01)


async def test_what_is_right_already_is_given_back(media, tmp_path):
    assert await cast_file(media.speech_wav(), SPEECH_16K, tmp_path) == media.speech_wav()
    assert await cast_file(media.talk_mp4(), CastSpec(Role.VIDEO), tmp_path) == media.talk_mp4()
    assert list(tmp_path.iterdir()) == []


async def test_the_same_cast_gives_the_same_bytes(media, tmp_path):
    first, second = [await cast_file(media.talk_mp4(), SPEECH_16K, tmp_path) for _ in range(2)]
    assert first != second
    assert first.read_bytes() == second.read_bytes()


async def test_sound_without_demands_stays_as_it_is_and_that_of_a_video_becomes_wav(media, forms, tmp_path):
    assert await cast_file(forms.audio("mp3"), CastSpec(Role.AUDIO), tmp_path) == forms.audio("mp3")
    rate_only = await cast_file(forms.audio("mp3"), CastSpec(Role.AUDIO, audio=AudioFormat(None, 22050)), tmp_path)
    assert (await probe(rate_only)).audio == AudioInfo("mp3", 22050, 1)
    info = await probe(await cast_file(media.talk_mp4(), CastSpec(Role.AUDIO), tmp_path))
    assert (info.format, info.audio) == ("wav", AudioInfo("pcm_s16le", 44100, 2))


@pytest.mark.parametrize("container", ["png", "jpeg", "webp"])
async def test_a_video_becomes_a_picture_of_a_moment(media, tmp_path, container):
    spec = CastSpec(Role.IMAGE, image=ImageFormat(container, 160), frame_time=2.5)
    info = await probe(await cast_file(media.talk_mp4(), spec, tmp_path))
    assert info.format == container
    assert info.video is not None
    assert (info.video.width, info.video.height, info.video.frame_rate) == (160, 90, 0)


async def test_different_moments_are_different_pictures(media, tmp_path):
    specs = [CastSpec(Role.IMAGE, frame_time=moment) for moment in (None, 1.0, 3.0)]
    pictures = [(await cast_file(media.talk_mp4(), spec, tmp_path)).read_bytes() for spec in specs]
    assert len(set(pictures)) == 3


@pytest.mark.parametrize("moment", [7.97, 100.0])
async def test_a_moment_after_the_end_names_the_field(media, tmp_path, moment):
    with pytest.raises(CastInvalid) as caught:
        await cast_file(media.talk_mp4(), CastSpec(Role.IMAGE, frame_time=moment), tmp_path)
    assert "spec.frame_time" in caught.value.fields


async def test_a_picture_is_scaled_down_in_proportion_and_never_up(media, tmp_path):
    small = CastSpec(Role.IMAGE, image=ImageFormat(None, 100, 100))
    info = await probe(await cast_file(media.picture_png(), small, tmp_path))
    assert info.video is not None
    assert (info.video.width, info.video.height) == (100, 56)
    large = CastSpec(Role.IMAGE, image=ImageFormat("png", 5000, 5000))
    assert await cast_file(media.picture_png(), large, tmp_path) == media.picture_png()


async def test_a_gif_becomes_a_png_of_its_first_picture(media, tmp_path):
    moving = media.ffmpeg("moving.gif", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=1")
    info = await probe(await cast_file(moving, CastSpec(Role.IMAGE, image=ImageFormat("png")), tmp_path))
    assert (info.format, info.video) == ("png", VideoInfo("png", 64, 48))


async def test_a_video_without_sound_says_what_it_plays_and_what_was_needed(media, tmp_path):
    with pytest.raises(InputUnsuitable, match="plays image and video; speech was needed"):
        await cast_file(media.silent_mp4(), SPEECH_16K, tmp_path)


@pytest.mark.parametrize(
    ("role", "name"),
    [(Role.SPEECH, "png"), (Role.VIDEO, "png"), (Role.VIDEO, "wav"), (Role.IMAGE, "wav"), (Role.TEXT, "wav")],
)
async def test_what_cannot_play_a_role_says_so(media, tmp_path, role, name):
    source = media.picture_png() if name == "png" else media.speech_wav()
    with pytest.raises(InputUnsuitable, match=f"{role} was needed"):
        await cast_file(source, CastSpec(role), tmp_path)


async def test_text_is_no_speech(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("Say this.")
    with pytest.raises(InputUnsuitable, match="plays text; speech was needed"):
        await cast_file(words, SPEECH_16K, tmp_path)
    assert await cast_file(words, CastSpec(Role.TEXT), tmp_path) == words


@pytest.mark.parametrize("samples", [b"", b"\0\0"], ids=["none", "one"])
async def test_sound_of_no_time_is_empty(tmp_path, samples):
    file = tmp_path / "zero.wav"
    file.write_bytes(wav(samples[:0]))
    with pytest.raises(InputEmpty, match="0 s"):
        await cast_file(file, SPEECH_16K, tmp_path)


@pytest.mark.parametrize("name", ["mp4", "mov", "mkv", "webm", "avi"])
async def test_a_cut_video_is_invalid_and_leaves_nothing_behind(forms, tmp_path, name):
    source = cut(forms.video(name), tmp_path)
    with pytest.raises(MediaInvalid):
        await cast_file(source, SPEECH_16K, tmp_path)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("name", ["wav", "mp3", "flac", "m4a", "aac"])
async def test_cut_sound_is_invalid(forms, tmp_path, name):
    with pytest.raises(MediaInvalid):
        await cast_file(cut(forms.audio(name), tmp_path), SPEECH_16K, tmp_path)


async def test_a_cut_video_whose_index_is_first_is_invalid(media, tmp_path):
    with pytest.raises(MediaInvalid):
        await cast_file(cut(media.talk_faststart_mp4(), tmp_path), SPEECH_16K, tmp_path)


async def test_sound_that_was_written_as_a_stream_is_cast_whole(media, tmp_path):
    samples = media.speech_wav().read_bytes()[-100_001:-1]
    file = tmp_path / "live.wav"
    file.write_bytes(wav(samples, declared=0xFFFFFFFF))
    made = await cast_file(file, CastSpec(Role.SPEECH, audio=AudioFormat("s16le", 16000, 1)), tmp_path)
    assert made.read_bytes() == samples


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (CastSpec(Role.AUDIO, audio=AudioFormat("midi")), "spec.audio.container"),
        (CastSpec(Role.AUDIO, audio=AudioFormat("wav", 10)), "spec.audio.sample_rate_hertz"),
        (CastSpec(Role.AUDIO, audio=AudioFormat("opus", 44100)), "spec.audio.sample_rate_hertz"),
        (CastSpec(Role.AUDIO, audio=AudioFormat("wav", 16000, 9)), "spec.audio.channels"),
        (CastSpec(Role.AUDIO, audio=AudioFormat("mp3", 16000, 6)), "spec.audio.channels"),
        (CastSpec(Role.IMAGE, image=ImageFormat("bmp")), "spec.image.container"),
        (CastSpec(Role.IMAGE, image=ImageFormat("png", -1)), "spec.image.max_width"),
        (CastSpec(Role.IMAGE, image=ImageFormat("png", 10, 10**6)), "spec.image.max_height"),
        (CastSpec(Role.IMAGE, frame_time=-1.0), "spec.frame_time"),
        (CastSpec(Role.IMAGE, frame_time=float("nan")), "spec.frame_time"),
        (CastSpec(Role.SPEECH, frame_time=1.0), "spec.frame_time"),
    ],
)
async def test_a_cast_to_what_does_not_exist_names_the_field(media, tmp_path, spec, field):
    with pytest.raises(CastInvalid) as caught:
        await cast_file(media.talk_mp4(), spec, tmp_path)
    assert list(caught.value.fields) == [field]


async def test_media_that_plays_for_too_long_is_refused(media, tmp_path):
    with pytest.raises(MediaLimit, match="at most 3 s"):
        await cast_file(media.talk_mp4(), SPEECH_16K, tmp_path, limits=MediaLimits(max_seconds=3))


async def test_a_result_that_is_too_large_is_refused(media, tmp_path):
    with pytest.raises(MediaLimit):
        await cast_file(media.talk_mp4(), SPEECH_16K, tmp_path, limits=MediaLimits(max_output_bytes=50_000))


async def test_a_picture_of_too_many_pixels_is_refused_by_its_header(tmp_path):
    file = tmp_path / "bomb.png"
    file.write_bytes(png(50_000, 50_000))
    with pytest.raises(MediaLimit, match="50,000 x 50,000"):
        await cast_file(file, CastSpec(Role.IMAGE, image=ImageFormat("jpeg")), tmp_path)


async def test_sound_with_tags_behind_it_or_the_rest_of_a_frame_before_it_is_cast(forms, tmp_path):
    song = forms.audio("mp3").read_bytes()
    item = struct.pack("<II", 4, 0) + b"Title\0abcd"
    ape = item + b"APETAGEX" + struct.pack("<IIII", 2000, len(item) + 32, 1, 0) + bytes(8)
    for name, data in (
        ("ape", song + ape + b"TAG" + bytes(125)),
        ("rest", song[700:]),
        ("id3v1", song + b"TAG" + bytes(125)),
    ):
        file = tmp_path / name
        file.write_bytes(data)
        info = await probe(await cast_file(file, SPEECH_16K, tmp_path))
        assert info.duration == pytest.approx(5.97, abs=0.15), name


async def test_sound_that_begins_later_than_its_video_keeps_its_moments(media, tmp_path):
    inputs = ("-itsoffset", "2", "-i", str(media.speech_wav()), "-i", str(media.silent_mp4()))
    late = media.ffmpeg("late.mp4", *inputs, "-map", "1:v", "-map", "0:a", "-c:v", "copy", "-c:a", "aac")
    made = await cast_file(late, SPEECH_16K, tmp_path)
    assert (await probe(made)).duration == pytest.approx(7.98, abs=0.1)
    samples = made.read_bytes()[-int(7.9 * 32000) :]
    assert max(samples[: int(1.7 * 32000)]) == 0
    assert max(samples[int(2.5 * 32000) :]) > 0


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{target}'\n",
        "file '{target}'\nfile '{target}'\n",
        "file:{target}\n",
    ],
    ids=["m3u8", "ffconcat", "concat without a header", "concat of a URL"],
)
async def test_a_list_of_files_named_mp4_is_refused_and_its_target_not_read(media, tmp_path, text):
    target = tmp_path / "secret.wav"
    target.write_bytes(media.speech_wav().read_bytes())
    unread(target)
    hostile = tmp_path / "film.mp4"
    hostile.write_text(text.format(target=target))
    with pytest.raises((MediaRefused, InputUnsuitable)):
        await cast_file(hostile, SPEECH_16K, tmp_path)
    assert target.stat().st_atime == 0
    target.read_bytes()
    assert target.stat().st_atime > 0, "this machine does not note reads, so the test shows nothing"
    assert {path.name for path in tmp_path.iterdir()} == {"secret.wav", "film.mp4"}


@pytest.mark.parametrize("name", ["mp4", "mkv", "wav", "mp3", "aac", "ogg", "avi", "flac", "png"])
async def test_no_list_gets_past_ffmpeg_even_if_it_were_taken_for_media(media, tmp_path, name):
    target = tmp_path / "secret.wav"
    target.write_bytes(media.speech_wav().read_bytes())
    hostile = tmp_path / "film.mp4"
    found = by_name(name)
    assert found is not None
    for text in ("#EXTM3U\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile '{}'\n"):
        hostile.write_text(text.format(target.name))
        unread(target)
        for source in (hostile, None):
            stream = "v:0" if name == "png" else "a:0"
            output = write_media(tmp_path / "out", open_media(source, found)[stream], f="null")
            chunks = None if source else pieces_of(hostile.read_bytes())
            with pytest.raises((MediaInvalid, MediaRefused)):
                await joined(stream_ffmpeg(arguments_of(output), chunks))
        assert target.stat().st_atime == 0


async def test_the_same_list_is_followed_without_the_fences(media, tmp_path):
    target = tmp_path / "secret.wav"
    target.write_bytes(media.speech_wav().read_bytes())
    unread(target)
    hostile = tmp_path / "film.ffconcat"
    hostile.write_text("ffconcat version 1.0\nfile 'secret.wav'\n")
    await run_ffmpeg(["-i", str(hostile), "-f", "null", "-"])
    assert target.stat().st_atime > 0


def unread(path: Path) -> None:
    """Note that a file was never read: the next read shows."""
    os.utime(path, (0, path.stat().st_mtime))


def test_only_what_differs_needs_a_cast():
    wav_16k = MediaInfo("wav", 5.0, AudioInfo("pcm_s16le", 16000, 1))
    assert not needs_cast(wav_16k, SPEECH_16K)
    assert not needs_cast(wav_16k, CastSpec(Role.AUDIO))
    assert needs_cast(wav_16k, CastSpec(Role.SPEECH, audio=AudioFormat("wav", 8000, 1)))
    assert needs_cast(wav_16k, CastSpec(Role.SPEECH, audio=AudioFormat("wav", 16000, 2)))
    assert needs_cast(wav_16k, CastSpec(Role.SPEECH, audio=AudioFormat("flac")))
    assert needs_cast(MediaInfo("wav", 5.0, AudioInfo("pcm_f32le", 16000, 1)), SPEECH_16K)
    assert needs_cast(MediaInfo("wav", None, AudioInfo("pcm_s16le", 16000, 1)), SPEECH_16K)
    film = MediaInfo("mp4", 5.0, AudioInfo("aac", 44100, 2), VideoInfo("h264", 320, 180, 25.0))
    assert needs_cast(film, CastSpec(Role.AUDIO))
    assert needs_cast(film, CastSpec(Role.IMAGE))
    assert not needs_cast(film, CastSpec(Role.VIDEO))
    picture = MediaInfo("png", None, None, VideoInfo("png", 640, 360))
    assert not needs_cast(picture, CastSpec(Role.IMAGE, image=ImageFormat("png", 640, 360)))
    assert needs_cast(picture, CastSpec(Role.IMAGE, image=ImageFormat("png", 639)))
    assert needs_cast(picture, CastSpec(Role.IMAGE, image=ImageFormat("jpeg")))
