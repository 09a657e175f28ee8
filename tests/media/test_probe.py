"""Technical facts read from real media."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from automarket.errors import EngineMissing, InputEmpty, InputUnsuitable, MediaInvalid, MediaLimit, MediaRefused
from automarket.media import banner, engine
from automarket.media.info import MediaInfo, VideoInfo
from automarket.media.pictures import claimed_size
from automarket.media.probe import probe
from tests.media.conftest import MOVING, SOUND, cut, png, wav

CODECS = {"mp3": "mp3", "flac": "flac", "ogg": "vorbis", "opus": "opus", "m4a": "aac", "aac": "aac", "wav": "pcm_s16le"}


@pytest.mark.parametrize("name", SOUND)
async def test_sound_has_codec_rate_channels_and_play_time(forms, name):
    info = await probe(forms.audio(name))
    assert info.format == name
    assert info.video is None
    assert info.audio is not None
    assert (info.audio.codec, info.audio.sample_rate, info.audio.channels) == (CODECS[name], 48000, 1)
    assert info.duration == pytest.approx(5.97, abs=0.5)


@pytest.mark.parametrize("name", MOVING)
async def test_a_video_has_size_and_frame_rate_too(forms, name):
    info = await probe(forms.video(name))
    assert info.format == name
    assert info.video is not None
    assert info.audio is not None
    assert (info.video.width, info.video.height) == (320, 180)
    assert info.video.frame_rate == pytest.approx(25, abs=0.1)
    assert info.duration == pytest.approx(4, abs=0.4)


async def test_a_picture_has_a_size_and_neither_play_time_nor_frame_rate(media):
    assert await probe(media.picture_png()) == MediaInfo("png", None, None, VideoInfo("png", 640, 360, 0.0))


@pytest.mark.parametrize(("name", "codec"), [("jpg", "mjpeg"), ("webp", "webp"), ("gif", "gif"), ("png", "png")])
async def test_every_picture_format_is_measured_by_its_head_too(media, name, codec):
    picture = media.ffmpeg(f"small.{name}", "-i", str(media.picture_png()), "-vf", "scale=123:45")
    info = await probe(picture)
    assert info.video == VideoInfo(codec, 123, 45, 0.0)
    assert claimed_size(picture.read_bytes(), info.format) == (123, 45)


async def test_sound_with_a_cover_picture_is_no_video(media, tmp_path):
    arguments = ("-i", str(media.speech_wav()), "-i", str(media.picture_png()), "-map", "0", "-map", "1")
    song = media.ffmpeg("cover.mp3", *arguments, "-c:v", "mjpeg", "-disposition:v", "attached_pic")
    info = await probe(song)
    assert info.format == "mp3"
    assert info.video is None


async def test_a_film_that_lies_on_its_side_has_the_size_that_it_shows(media):
    lying = media.ffmpeg("lying.mp4", "-i", str(media.silent_mp4()), "-c", "copy", "-metadata:s:v", "rotate=90")
    info = await probe(lying)
    assert info.video is not None
    assert (info.video.width, info.video.height) == (180, 320)


async def test_text_has_nothing_but_its_format(tmp_path):
    file = tmp_path / "film.mp4"
    file.write_text("Just words.")
    assert await probe(file) == MediaInfo("txt")


async def test_sound_that_was_written_as_a_stream_has_the_length_of_its_bytes(media, tmp_path):
    samples = media.speech_wav().read_bytes()[-100_000:]
    file = tmp_path / "live.wav"
    file.write_bytes(wav(samples, declared=0xFFFFFFFF))
    assert (await probe(file)).duration == pytest.approx(100_000 / 32_000, abs=0.01)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", InputEmpty),
        (b"\x00\x01\x02\x03" * 100, InputUnsuitable),
        (b"#EXTM3U\n/etc/hostname\n", MediaRefused),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", MediaRefused),
        (png(50_000, 50_000), MediaLimit),
        (b"\x00\x00\x00\x18ftypisom" + bytes(500), MediaInvalid),
        (b"\x1a\x45\xdf\xa3 webm " + bytes(500), MediaInvalid),
        (b"fLaC" + bytes(100), MediaInvalid),
    ],
    ids=["empty", "noise", "m3u8", "concat", "huge picture", "no index", "broken webm", "broken flac"],
)
async def test_what_cannot_be_read_is_an_error_that_says_why(tmp_path, content, error):
    file = tmp_path / "film.mp4"
    file.write_bytes(content)
    with pytest.raises(error):
        await probe(file)


async def test_cut_wav_is_invalid_although_ffprobe_reads_it(media, tmp_path):
    with pytest.raises(MediaInvalid, match="cut off"):
        await probe(cut(media.speech_wav(), tmp_path))


async def test_errors_name_no_file_of_this_machine(media, tmp_path):
    with pytest.raises(MediaInvalid) as caught:
        await probe(cut(media.talk_mp4(), tmp_path))
    assert str(tmp_path) not in str(caught.value) + "".join(caught.value.log_lines)


async def test_without_ffprobe_ffmpeg_says_the_same(media, forms, monkeypatch):
    files = [media.talk_mp4(), media.picture_png(), forms.audio("opus"), forms.video("mkv"), media.silent_mp4()]
    wanted = [await probe(file) for file in files]
    monkeypatch.setattr("automarket.media.probe.find_ffprobe", lambda: None)
    for file, info in zip(files, wanted, strict=True):
        found = await probe(file)
        assert (found.format, found.audio, found.video) == (info.format, info.audio, info.video)
        assert found.duration == pytest.approx(info.duration, abs=0.02)


async def test_without_ffprobe_broken_media_is_still_invalid(media, tmp_path, monkeypatch):
    monkeypatch.setattr("automarket.media.probe.find_ffprobe", lambda: None)
    with pytest.raises(MediaInvalid):
        await probe(cut(media.talk_mp4(), tmp_path))


def test_surround_sound_and_turned_pictures_are_understood_in_what_ffmpeg_prints():
    facts = banner.parse(
        "  Duration: 01:02:03.50, start: 0.0\n"
        "  Stream #0:0[0x1](und): Video: hevc (Main) (hvc1 / 0x31), yuv420p(tv), 1920x1080 [SAR 1:1], 29.97 fps\n"
        "      displaymatrix: rotation of -90.00 degrees\n"
        "  Stream #0:1(eng): Audio: aac (LC) (mp4a / 0x6134706D), 48000 Hz, 5.1, fltp, 384 kb/s\n"
        "  Stream #0:2: Video: mjpeg (Baseline), yuvj420p(pc), 500x500, 90k tbr (attached pic)\n"
    )
    sound, picture, cover = facts["streams"]
    assert (sound["codec_name"], sound["sample_rate"], sound["channels"]) == ("aac", "48000", 6)
    assert (picture["width"], picture["height"], picture["avg_frame_rate"]) == ("1920", "1080", "29970/1000")
    assert picture["side_data_list"] == [{"rotation": "-90"}]
    assert cover["disposition"]["attached_pic"]
    assert facts["format"]["duration"] == 3723.5


async def test_the_carried_ffmpeg_is_used_where_none_is_installed(media, tmp_path, monkeypatch):
    pytest.importorskip("imageio_ffmpeg")
    files = [media.talk_mp4(), media.picture_png()]
    wanted = [await probe(file) for file in files]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Path(engine.find_ffmpeg()).name.startswith("ffmpeg-")
    assert engine.find_ffprobe() is None
    assert [(await probe(file)).video for file in files] == [info.video for info in wanted]


def test_a_missing_engine_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    assert shutil.which("ffmpeg") is None
    with pytest.raises(EngineMissing, match="apt install ffmpeg"):
        engine.find_ffmpeg()
