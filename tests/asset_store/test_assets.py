"""Describing, reading, listing and deleting assets, and uploading what is there already."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from automarket import errors
from automarket.assets import AssetLoader
from automarket.assets.roles import Role
from automarket.digests import digest_bytes
from automarket.media.info import AudioFormat, CastSpec
from automarket.rpc.channel import errors_mapped
from automarket.stored import Lineage
from automarket.v1 import asset_service_pb2 as pb
from automarket.v1.asset_service_pb2_grpc import AssetServiceStub
from tests.asset_store.process import eventually, noise
from tests.asset_store.uploading import MIB

NOBODY = digest_bytes(b"nobody has this")


async def test_an_upload_says_what_the_bytes_are_whatever_the_name(client, media):
    video = await client.put(media.talk_mp4(), file_name="talk.txt")
    assert video.media_type == "video/mp4"
    assert {Role.VIDEO, Role.AUDIO, Role.SPEECH} <= video.roles
    info = video.media_info
    assert info is not None
    assert info.audio is not None
    assert info.video is not None
    assert (info.audio.sample_rate, info.audio.channels) == (44100, 2)
    assert (info.video.width, info.video.height, info.video.codec) == (320, 180, "h264")
    assert info.duration == pytest.approx(8, abs=4)
    text = await client.put(b"plain words")
    assert (text.media_type, text.roles) == ("text/plain", {Role.TEXT})
    unknown = await client.put(noise(1000))
    assert (unknown.media_type, unknown.roles, unknown.media_info) == ("application/octet-stream", frozenset(), None)


async def test_broken_media_is_kept_as_bytes_without_facts(client, media):
    asset = await client.put(media.talk_mp4().read_bytes()[:30_000])
    assert asset.media_type == "video/mp4"
    assert asset.media_info is None


async def test_uploading_again_sends_no_bytes(store, client, tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(noise(3 * MIB))
    first = await client.put(path)
    assert (first.bytes_sent, first.file_name) == (3 * MIB, "a.bin")
    again = await client.put(path, progress=lambda *_: pytest.fail("bytes were sent"))
    assert (again.bytes_sent, again.digest) == (0, first.digest)
    store.kill()
    store.start()
    assert (await client.put(path)).bytes_sent == 0


async def test_an_asset_of_a_program_is_uploaded_like_its_file(client, media):
    asset = AssetLoader.load(media.speech_wav())
    kept = await client.put(asset)
    assert (kept.digest, kept.file_name, kept.bytes_sent) == (asset.digest, "speech.wav", asset.size_bytes)
    again = await client.put(AssetLoader.from_bytes(media.speech_wav().read_bytes()))
    assert (again.digest, again.bytes_sent) == (asset.digest, 0)


async def test_progress_is_told_in_bytes(client):
    seen = []
    await client.put(noise(2 * MIB + 1), progress=lambda *values: seen.append(values))
    size = 2 * MIB + 1
    assert seen == [(MIB, size), (2 * MIB, size), (size, size)]


async def test_nothing_is_no_asset(client):
    async def silence():
        for _ in ():
            yield b""

    with pytest.raises(errors.InputEmpty):
        await client.put(b"")
    with pytest.raises(errors.InputEmpty):
        await client.put_stream(silence())


async def test_what_a_stream_raises_reaches_the_caller_and_nothing_is_kept(store, client):
    async def broken():
        yield noise(MIB)
        raise RuntimeError("the source broke")

    for _ in range(25):
        with pytest.raises(RuntimeError, match="the source broke"):
            await client.put_stream(broken())
        assert store.leftovers() == []


async def test_a_stream_that_is_given_up_is_closed_and_leaves_nothing(store, client):
    for _ in range(25):
        closed = asyncio.Event()
        begun = asyncio.Event()

        async def endless(begun=begun, closed=closed):
            try:
                for number in range(10_000):
                    yield noise(50_000, seed=number)
                    if number == 3:
                        begun.set()
                    await asyncio.sleep(0.001)
            finally:
                closed.set()

        task = asyncio.create_task(client.put_stream(endless()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert closed.is_set()
        assert store.leftovers() == []


async def test_the_same_file_sent_by_several_at_once_is_sent_about_once(client, tmp_path):
    path = tmp_path / "same.bin"
    path.write_bytes(noise(30 * MIB))
    kept = await asyncio.gather(*(client.put(path) for _ in range(4)))
    assert len({asset.digest for asset in kept}) == 1
    assert sum(asset.bytes_sent for asset in kept) < 60 * MIB


async def test_a_stream_of_pieces_of_any_size_is_one_asset(client):
    data = noise(3 * MIB)

    async def pieces():
        for start, end in ((0, 10), (10, 10), (10, 2 * MIB + 1), (2 * MIB + 1, 3 * MIB)):
            yield data[start:end]

    asset = await client.put_stream(pieces(), file_name="live.bin")
    assert (asset.digest, asset.bytes_sent, asset.file_name) == (digest_bytes(data), len(data), "live.bin")


@pytest.mark.parametrize(("offset", "limit"), [(0, 0), (1, 0), (0, 5), (MIB, MIB), (2 * MIB - 3, 7), (3 * MIB, 0)])
async def test_a_part_can_be_read(client, offset, limit):
    data = noise(3 * MIB)
    asset = await client.put(data)
    got = b"".join([piece async for piece in client.read(asset.digest, offset, limit)])
    assert got == (data[offset : offset + limit] if limit else data[offset:])


async def test_reads_that_make_no_sense_are_refused(client):
    asset = await client.put(b"four")
    with pytest.raises(errors.OffsetInvalid):
        [piece async for piece in client.read(asset.digest, 5)]
    with pytest.raises(errors.OffsetInvalid):
        [piece async for piece in client.read(asset.digest, -1)]
    with pytest.raises(errors.AssetUnknown):
        [piece async for piece in client.read(NOBODY)]
    with pytest.raises(errors.DigestInvalid):
        [piece async for piece in client.read("SHA256:abc")]


async def test_readers_that_stop_early_leave_nothing_behind(store, client):
    asset = await client.put(noise(20 * MIB))
    for _ in range(25):
        async for piece in client.read(asset.digest):
            assert len(piece) == MIB
            break
    await eventually(lambda: not open_content(store))


async def test_a_download_appears_whole(client, tmp_path):
    asset = await client.put(noise(2 * MIB))
    out = tmp_path / "x.bin"
    out.write_bytes(b"old")
    both = await asyncio.gather(client.get(asset.digest, out), client.get(asset.digest, out))
    assert [one.digest for one in both] == [asset.digest] * 2
    assert out.read_bytes() == noise(2 * MIB)
    assert list(tmp_path.iterdir()) == [out]
    with pytest.raises(errors.AssetUnknown):
        await client.get(NOBODY, tmp_path / "y.bin")
    assert list(tmp_path.iterdir()) == [out]


async def test_missing_digests_come_in_the_order_asked(client, channel):
    here = await client.put(b"here")
    others = [digest_bytes(bytes([number])) for number in range(5)]
    assert await client.find_missing([*others[:2], here.digest, *others[2:]]) == others
    assert await client.find_missing([]) == []
    many = [digest_bytes(number.to_bytes(4, "big")) for number in range(2500)]
    assert await client.find_missing(many) == many
    with pytest.raises(errors.InvalidRequestError), errors_mapped():
        await AssetServiceStub(channel).FindMissing(pb.FindMissingRequest(digests=many))
    with pytest.raises(errors.DigestInvalid):
        await client.find_missing(["x"])


async def test_lists_are_paged_newest_first_and_filtered(client, media):
    texts = [(await client.put(f"text {number}".encode())).digest for number in range(7)]
    middle = datetime.now(UTC)
    sound = await client.put(media.tone_wav())
    made = await client.cast(sound.digest, CastSpec(Role.SPEECH, AudioFormat("wav", 16000, 1)))

    async def listed(**filters):
        return [asset.digest async for asset in client.list(**filters)]

    assert await listed(page_size=3) == [made.asset.digest, sound.digest, *reversed(texts)]
    assert await listed(role=Role.TEXT) == texts[::-1]
    assert await listed(media_type="audio/") == [made.asset.digest, sound.digest]
    assert await listed(media_type="audio%") == []
    assert await listed(derived=True) == [made.asset.digest]
    assert await listed(derived=False) == [sound.digest, *reversed(texts)]
    assert await listed(parent=sound.digest) == [made.asset.digest]
    assert await listed(created_after=middle) == [made.asset.digest, sound.digest]
    assert await listed(role=Role.VIDEO) == []


async def test_a_page_token_of_nobody_is_refused(channel):
    stub = AssetServiceStub(channel)
    for token in ("x", "bm90IGpzb24=", "WzEsMl0=", "é"):
        with pytest.raises(errors.PageTokenInvalid), errors_mapped():
            await stub.List(pb.ListRequest(page_token=token))
    with pytest.raises(errors.InvalidRequestError), errors_mapped():
        await stub.List(pb.ListRequest(page_size=1001))


async def test_a_deleted_asset_is_gone_and_so_are_its_casts(store, client, media):
    sound = await client.put(media.tone_wav())
    made = await client.cast(sound.digest, CastSpec(Role.SPEECH, AudioFormat("wav", 16000, 1)))
    await client.delete(sound.digest)
    assert await client.find_missing([sound.digest, made.asset.digest]) == [sound.digest, made.asset.digest]
    assert not store.content(sound.digest).exists()
    assert not store.content(made.asset.digest).exists()
    for call in (client.delete(sound.digest), client.stat(sound.digest)):
        with pytest.raises(errors.AssetUnknown):
            await call


async def test_lineage_is_kept_and_transform_outputs_are_not_evictable(client):
    lineage = Lineage("text-to-speech", (NOBODY,), provider="flite", model="rms", request_id="r")
    asset = await client.put(b"RIFF made", lineage=lineage)
    assert asset.lineage == lineage
    assert not asset.derived
    assert (await client.stat(asset.digest)).lineage == lineage


async def test_a_cast_that_somebody_uploads_becomes_theirs(client, media, tmp_path):
    sound = await client.put(media.tone_wav())
    made = await client.cast(sound.digest, CastSpec(Role.SPEECH, AudioFormat("wav", 16000, 1)))
    assert made.asset.derived
    out = tmp_path / "made.wav"
    await client.get(made.asset.digest, out)
    mine = await client.put(out)
    assert (mine.derived, mine.bytes_sent, mine.digest) == (False, 0, made.asset.digest)
    assert not (await client.stat(mine.digest)).derived
    await client.delete(sound.digest)
    assert await client.find_missing([mine.digest]) == []


async def test_reading_makes_an_asset_recently_used(client):
    asset = await client.put(b"words")
    before = (await client.stat(asset.digest)).accessed
    await asyncio.sleep(0.01)
    [piece async for piece in client.read(asset.digest)]
    after = await client.stat(asset.digest)
    assert after.accessed > before
    assert after.created == asset.created


def open_content(store) -> list[str]:
    links = []
    for link in Path(f"/proc/{store.pid}/fd").iterdir():
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if "/content/" in target:
            links.append(target)
    return links
