"""Casts next to the bytes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from automarket import errors
from automarket.assets.roles import Role
from automarket.media.info import AudioFormat, CastSpec, ImageFormat
from automarket.rpc.channel import errors_mapped
from automarket.v1 import asset_service_pb2 as pb
from automarket.v1 import media_pb2
from automarket.v1.asset_service_pb2_grpc import AssetServiceStub
from tests.asset_store.process import eventually

SPEECH = CastSpec(Role.SPEECH, AudioFormat("wav", 16000, 1))


async def test_a_video_is_cast_to_speech_once(store, client, media):
    video = await client.put(media.talk_mp4())
    made = await client.cast(video.digest, SPEECH)
    assert not made.cached
    assert made.asset.derived
    assert made.asset.lineage is not None
    assert (made.asset.lineage.operation, made.asset.lineage.parents) == ("cast", (video.digest,))
    assert made.asset.lineage.cast == SPEECH
    info = made.asset.media_info
    assert info is not None
    assert info.audio is not None
    assert (info.audio.codec, info.audio.sample_rate, info.audio.channels) == ("pcm_s16le", 16000, 1)
    again = await client.cast(video.digest, SPEECH)
    assert again.cached
    assert again.asset.digest == made.asset.digest
    assert again.elapsed < made.elapsed
    store.kill()
    store.start()
    assert (await client.cast(video.digest, SPEECH)).cached
    assert store.leftovers() == []


async def test_what_plays_the_role_as_it_is_is_given_back(client, media):
    sound = await client.put(media.speech_wav())
    same = await client.cast(sound.digest, CastSpec(Role.SPEECH))
    assert (same.asset.digest, same.cached) == (sound.digest, True)
    text = await client.put(b"words")
    assert (await client.cast(text.digest, CastSpec(Role.TEXT))).asset.digest == text.digest


async def test_bare_samples_are_known_for_what_they_are(client, media):
    sound = await client.put(media.tone_wav())
    bare = (await client.cast(sound.digest, CastSpec(Role.SPEECH, AudioFormat("s16le", 16000, 1)))).asset
    assert (bare.media_type, bare.roles) == ("audio/pcm", {Role.AUDIO, Role.SPEECH})
    assert bare.media_info is not None
    assert bare.media_info.audio is not None
    assert (bare.media_info.audio.sample_rate, bare.media_info.audio.channels) == (16000, 1)
    assert bare.media_info.duration == pytest.approx(1.0, abs=0.1)


async def test_a_picture_is_taken_out_of_a_video_and_made_smaller(client, media):
    video = await client.put(media.talk_mp4())
    spec = CastSpec(Role.IMAGE, image=ImageFormat("png", max_width=160), frame_time=1.0)
    picture = (await client.cast(video.digest, spec)).asset
    assert picture.media_type == "image/png"
    assert picture.media_info is not None
    assert picture.media_info.video is not None
    assert (picture.media_info.video.width, picture.media_info.video.height) == (160, 90)


async def test_equal_casts_at_the_same_time_run_once(client, media):
    video = await client.put(media.talk_mp4())
    results = await asyncio.gather(*(client.cast(video.digest, SPEECH) for _ in range(6)))
    assert len({result.asset.digest for result in results}) == 1
    assert sum(not result.cached for result in results) == 1


async def test_what_cannot_be_cast_says_why_and_leaves_nothing(store, client, media):
    silent = await client.put(media.silent_mp4())
    cut = await client.put(media.talk_mp4().read_bytes()[:30_000])
    text = await client.put(b"only words")
    noise = await client.put(bytes(range(256)) * 100)
    wrong = [
        (errors.InputUnsuitable, silent.digest, SPEECH),
        (errors.MediaInvalid, cut.digest, SPEECH),
        (errors.InputUnsuitable, text.digest, SPEECH),
        (errors.InvalidRequestError, noise.digest, SPEECH),
        (errors.AssetUnknown, "sha256:" + "0" * 64, SPEECH),
        (errors.CastInvalid, silent.digest, CastSpec(Role.SPEECH, AudioFormat("nonsense"))),
    ]
    for kind, digest, spec in wrong:
        with pytest.raises(kind):
            await client.cast(digest, spec)
        assert store.leftovers() == []


async def test_a_list_of_files_that_is_called_a_video_is_not_opened(store, client, media, tmp_path):
    target = media.speech_wav()
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{target}\n#EXT-X-ENDLIST\n"
    concat = f"ffconcat version 1.0\nfile '{target}'\n"
    for number, content in enumerate((playlist, concat)):
        path = tmp_path / f"{number}.mp4"
        path.write_text(content)
        asset = await client.put(path)
        with pytest.raises((errors.MediaRefused, errors.InputUnsuitable)):
            await client.cast(asset.digest, SPEECH)
    assert store.leftovers() == []


async def test_a_spec_that_makes_no_sense_is_refused(client, channel, media):
    sound = await client.put(media.tone_wav())
    for spec in (
        media_pb2.CastSpec(),
        media_pb2.CastSpec(role=media_pb2.ROLE_IMAGE, audio=media_pb2.AudioFormat(channels=1)),
    ):
        with pytest.raises(errors.CastInvalid), errors_mapped():
            await AssetServiceStub(channel).Cast(pb.CastRequest(digest=sound.digest, spec=spec))


async def test_a_cancelled_cast_ends_ffmpeg_and_leaves_nothing(store, client, media):
    long = media.ffmpeg("long.mp4", "-f", "lavfi", "-i", "testsrc=size=1280x720:rate=25:duration=60", "-f", "lavfi",
                        "-i", "sine=duration=60", "-preset", "ultrafast", "-shortest")  # fmt: skip
    video = await client.put(long)
    for number in range(25):
        spec = CastSpec(Role.SPEECH, AudioFormat("opus", 48000, 1), frame_time=number)
        task = asyncio.create_task(client.cast(video.digest, spec))
        await eventually(lambda task=task: below(store.pid) or task.done())
        task.cancel()
        await asyncio.wait([task])
        await eventually(lambda: not below(store.pid), seconds=0.5)
    await eventually(lambda: not store.leftovers())


def below(pid: int) -> list[int]:
    """Give the living children of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if int(parent) == pid and state != "Z":
                found.append(int(entry.name))
    return found
