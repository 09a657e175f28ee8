"""Casting assets in a user's own program: once, then from the cache."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from automarket.assets import AssetLoader, Audio, Image, Role, Speech, Text, Video
from automarket.assets.cache import CastCache, cache_dir
from automarket.errors import CastInvalid, EngineMissing, InputEmpty, InputUnsuitable, InvalidRequestError, MediaInvalid
from tests.media.conftest import cut, media_children, until, wav


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("AUTOMARKET_CACHE_DIR", str(folder))
    return folder


def kept(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def test_a_video_becomes_speech_once(media, cache, monkeypatch):
    talk = media.talk_mp4()
    video = AssetLoader.load(talk)
    first = await video.as_speech(sample_rate=16000, channels=1)
    assert type(first) is Speech
    assert first.source_asset is video
    assert first.media_type == "audio/wav"
    assert first.duration == pytest.approx(5.99, abs=0.1)
    assert len(kept(cache)) == 1
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    again = await AssetLoader.load(talk).as_speech(sample_rate=16000, channels=1)
    assert again.digest == first.digest
    with pytest.raises(EngineMissing):
        await AssetLoader.load(talk).as_speech(sample_rate=8000)


async def test_the_second_cast_runs_no_ffmpeg(media):
    await AssetLoader.load(media.talk_mp4()).as_audio()
    started = []
    task = asyncio.create_task(AssetLoader.load(media.talk_mp4()).as_audio())
    while not task.done():
        started += media_children()
        await asyncio.sleep(0.001)
    assert started == []
    assert type(await task) is Audio


async def test_what_plays_a_role_already_keeps_its_bytes(media, cache):
    sound = AssetLoader.load(media.speech_wav())
    speech = await sound.as_speech()
    assert type(speech) is Speech
    assert speech.source_asset is sound
    assert speech.path == media.speech_wav()
    assert await speech.as_speech(sample_rate=16000) is speech
    video = AssetLoader.load(media.talk_mp4())
    assert await video.as_video() is video
    text = Text.from_string("words")
    assert await text.as_text() is text
    assert kept(cache) == []


async def test_a_video_used_as_speech_gives_its_sound(media):
    speech = AssetLoader.from_file(media.talk_mp4(), as_=Role.SPEECH)
    sound = await speech.as_speech()
    assert (sound.format.name, sound.source_asset) == ("wav", speech)


async def test_a_video_becomes_pictures_of_its_moments(media):
    video = AssetLoader.load(media.talk_mp4())
    first, later = await video.as_image(), await video.as_image(frame_time=3.0, max_width=80, container="jpeg")
    assert (type(first), first.size, first.format.name) == (Image, (320, 180), "png")
    assert (later.size, later.format.name) == ((80, 45), "jpeg")


async def test_bytes_in_memory_are_cast_too(media):
    sound = await AssetLoader.from_bytes(media.talk_mp4().read_bytes()).as_audio(container="flac")
    assert sound.format.name == "flac"


async def test_an_asset_that_cannot_play_a_role_says_which_it_plays_and_what_was_needed(media):
    picture, video = AssetLoader.load(media.picture_png()), AssetLoader.load(media.silent_mp4())
    with pytest.raises(InputUnsuitable, match="the image plays image; speech was needed"):
        await picture.as_speech()
    with pytest.raises(InputUnsuitable, match="the image plays image; text was needed"):
        await picture.as_text()
    with pytest.raises(InputUnsuitable, match="plays image and video; speech was needed"):
        await video.as_speech()
    with pytest.raises(InputUnsuitable, match="plays image and video; audio was needed"):
        await video.as_audio()
    with pytest.raises(InputUnsuitable, match="the text plays text; speech was needed"):
        await Text.from_string("words").as_speech()
    with pytest.raises(InputUnsuitable, match="the audio plays audio and speech; video was needed"):
        await AssetLoader.load(media.speech_wav()).as_video()


async def test_bad_media_is_an_error_and_nothing_is_kept(media, tmp_path, cache):
    with pytest.raises(MediaInvalid):
        await AssetLoader.load(cut(media.talk_mp4(), tmp_path)).as_speech()
    with pytest.raises(InputEmpty):
        await AssetLoader.from_bytes(wav(b"")).as_speech(sample_rate=16000)
    with pytest.raises(CastInvalid):
        await AssetLoader.load(media.talk_mp4()).as_audio(container="tape")
    with pytest.raises(CastInvalid, match="bare samples"):
        await AssetLoader.load(media.talk_mp4()).as_audio(container="s16le")
    with pytest.raises(CastInvalid):
        await AssetLoader.load(media.talk_mp4()).as_image(frame_time=60)
    assert kept(cache) == []


async def test_a_cancelled_cast_leaves_nothing(media, cache):
    long = media.ffmpeg("long-tone.flac", "-f", "lavfi", "-i", "sine=duration=1800:sample_rate=48000")
    for _ in range(5):
        task = asyncio.create_task(AssetLoader.load(long).as_audio(container="mp3"))
        await until(lambda: list(cache.rglob("cast-*")))
        task.cancel()
        begin = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - begin < 0.5
        assert kept(cache) == []
        assert media_children() == []


async def test_casting_the_same_at_once_gives_one_result(media, cache):
    video = AssetLoader.load(media.talk_mp4())
    made = await asyncio.gather(*(video.as_speech(sample_rate=8000) for _ in range(4)))
    assert len({one.digest for one in made}) == 1
    assert len(kept(cache)) == 1


async def test_what_was_not_used_for_longest_makes_room(media, cache, monkeypatch):
    video = AssetLoader.load(media.talk_mp4())
    await video.as_speech(sample_rate=8000)
    await video.as_speech(sample_rate=16000)
    old, used = sorted(kept(cache), key=lambda path: path.stat().st_size)
    for number, path in enumerate((old, used)):
        os.utime(path, (number, number))
    monkeypatch.setenv("AUTOMARKET_CACHE_BYTES", str(used.stat().st_size + 100_000))
    await video.as_image()
    assert old not in kept(cache)
    assert used in kept(cache)
    assert len(kept(cache)) == 2


def test_the_cache_folder_follows_the_usual_variables(monkeypatch, tmp_path):
    monkeypatch.delenv("AUTOMARKET_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "automarket"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "automarket"


async def test_a_limit_that_is_no_number_is_named(media, monkeypatch):
    monkeypatch.setenv("AUTOMARKET_CACHE_BYTES", "much")
    with pytest.raises(InvalidRequestError, match="AUTOMARKET_CACHE_BYTES"):
        await AssetLoader.load(media.talk_mp4()).as_image()


def test_the_cache_holds_results_by_digest_and_what_was_asked_for(media, cache):
    from automarket.media.info import AudioFormat, CastSpec

    digest = AssetLoader.load(media.speech_wav()).digest
    spec, other = (CastSpec(Role.SPEECH, audio=AudioFormat("wav", rate)) for rate in (8000, 16000))
    store = CastCache()
    with store.folder() as folder:
        (folder / "made").write_bytes(b"RIFF")
        path = store.keep(folder / "made", digest, spec)
    assert store.find(digest, spec) == path
    assert store.find(digest, other) is None


def test_videos_are_a_class_of_their_own(media):
    assert isinstance(AssetLoader.load(media.talk_mp4()), Video)


async def test_what_a_killed_program_left_is_removed_after_a_day(media, cache):
    fresh, old = cache / "casts" / "new-fresh", cache / "casts" / "new-old"
    for folder in (fresh, old):
        folder.mkdir(parents=True)
        (folder / "cast-1.wav").write_bytes(b"RIFF")
    os.utime(old, (0, time.time() - 25 * 3600))
    await AssetLoader.load(media.talk_mp4()).as_image()
    assert fresh.exists()
    assert not old.exists()
